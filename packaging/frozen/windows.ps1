<#
The recipe for Windows: the program with Vulkan inside, in dist\baton-VERSION-windows-x64.msi. It has not been run yet.
Needs the C++ build tools of Visual Studio, the Vulkan SDK (VULKAN_SDK) and WiX 5 (`dotnet tool install --global wix --version 5.0.2`).
#>
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..\..")
$Here = "packaging\frozen"
$Python = ".venv-frozen\Scripts\python.exe"

function Invoke-Checked {
    $program, $rest = $args
    & $program @rest
    if ($LASTEXITCODE -ne 0) { throw "$program failed with exit code $LASTEXITCODE" }
}

Invoke-Checked python -m venv .venv-frozen
Invoke-Checked $Python -m pip --quiet install --require-hashes --no-deps -r packaging\lock\frozen.txt
$env:CMAKE_ARGS = "-DGGML_VULKAN=on -DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF"
Invoke-Checked $Python -m pip --quiet install --no-deps --no-cache-dir --no-binary llama-cpp-python --require-hashes -r packaging\lock\llama.txt
Invoke-Checked $Python -m pip --quiet install --no-deps --no-build-isolation .
foreach ($old in @("build", "dist")) { if (Test-Path $old) { Remove-Item $old -Recurse -Force } }

Invoke-Checked $Python "$Here\icon.py" resources\icons\baton.svg baton.ico
Invoke-Checked $Python "$Here\notices.py" packaging\lock\run.txt "$Here\THIRD-PARTY-NOTICES.txt"
$env:BATON_ICON = "$PWD\baton.ico"
$env:BATON_GGML = "$PWD\.venv-frozen\Lib\site-packages\llama_cpp\lib"
Invoke-Checked .venv-frozen\Scripts\pyinstaller.exe --noconfirm --distpath dist --workpath build\frozen "$Here\baton.spec"
foreach ($text in @("LICENSE", "$Here\THIRD-PARTY-NOTICES.txt")) { Copy-Item $text "dist\baton" }
Invoke-Checked $Python "$Here\smoke.py" dist\baton

$version = & $Python -c "from baton_reasoning.core.version import version; print(version())"
Invoke-Checked wix build "$Here\baton.wxs" -arch x64 -d "Version=$version" -d "Icon=$PWD\baton.ico" -bindpath "Program=dist\baton" -o "dist\baton-$version-windows-x64.msi"
Write-Host "baton: dist\baton-$version-windows-x64.msi"
