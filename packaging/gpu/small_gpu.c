/* A Vulkan layer for tests: Mesa's software device appears as a discrete GPU with little memory, and fails on demand.
 *
 * Environment:
 *   BATON_GPU_MIB      its memory in MiB, shared by all processes with the same BATON_GPU_STATE
 *   BATON_GPU_STATE    a folder. Each process keeps a file there, named by its id, with the bytes it has allocated.
 *                      While the file `full` exists, every allocation fails with VK_ERROR_OUT_OF_DEVICE_MEMORY.
 *                      If the file `refuse` exists, the next allocation removes it; it and all later ones of its process
 *                      fail so, while other processes get memory.
 *                      If the file `lose` exists, the next submission removes it and fails with VK_ERROR_DEVICE_LOST.
 *
 * The layer intercepts what llama.cpp's Vulkan back end asks about memory and devices, and passes on everything else.
 * Loader interface: vulkan/vk_layer.h, "Loader and Layer Interface", version 2.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define PATH_LENGTH 4096

static struct {
    PFN_vkGetInstanceProcAddr instance_function;
    PFN_vkGetDeviceProcAddr device_function;
    PFN_vkGetPhysicalDeviceProperties properties;
    PFN_vkGetPhysicalDeviceProperties2 properties2;
    PFN_vkGetPhysicalDeviceMemoryProperties memory;
    PFN_vkGetPhysicalDeviceMemoryProperties2 memory2;
    PFN_vkAllocateMemory allocate;
    PFN_vkFreeMemory release;
    PFN_vkQueueSubmit submit;
} next; /* the same functions, one layer further down */

static VkInstance instance;

/* What is allocated --------------------------------------------------------------------------------------------- */

struct allocation {
    VkDeviceMemory memory;
    VkDeviceSize size;
    struct allocation *next;
};
static struct allocation *allocations;
static VkDeviceSize used_here;
static int refused_here;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the three above and this process's file */

static VkDeviceSize capacity(void) {
    const char *mib = getenv("BATON_GPU_MIB");
    return mib ? (VkDeviceSize)atoll(mib) << 20 : 0;
}

static const char *state_path(const char *name) {
    static _Thread_local char path[PATH_LENGTH];
    const char *folder = getenv("BATON_GPU_STATE");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "/tmp", name);
    return path;
}

static int state_has(const char *name) { return access(state_path(name), F_OK) == 0; }

static void publish_use(void) {
    char name[32];
    snprintf(name, sizeof name, "%ld", (long)getpid());
    FILE *file = fopen(state_path(name), "w");
    if (!file) return;
    fprintf(file, "%llu\n", (unsigned long long)used_here);
    fclose(file);
}

/* Bytes that other living processes hold; the files of dead ones are removed. */
static VkDeviceSize used_elsewhere(void) {
    VkDeviceSize sum = 0;
    DIR *folder = opendir(state_path("."));
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const long process = atol(entry->d_name);
        if (process <= 0 || process == (long)getpid()) continue;
        if (kill((pid_t)process, 0) != 0 && errno == ESRCH) {
            unlink(state_path(entry->d_name));
            continue;
        }
        unsigned long long bytes = 0;
        FILE *file = fopen(state_path(entry->d_name), "r");
        if (!file) continue;
        if (fscanf(file, "%llu", &bytes) == 1) sum += bytes;
        fclose(file);
    }
    if (folder) closedir(folder);
    return sum;
}

static int comes_from_the_host(const VkMemoryAllocateInfo *info) {
    for (const VkBaseInStructure *part = info->pNext; part; part = part->pNext)
        if (part->sType == VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT) return 1;
    return 0;
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo *info,
                                               const VkAllocationCallbacks *callbacks, VkDeviceMemory *memory) {
    const VkDeviceSize size = comes_from_the_host(info) ? 0 : info->allocationSize;
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    pthread_mutex_lock(&lock);
    if (unlink(state_path("refuse")) == 0) refused_here = 1;
    if (!refused_here && !state_has("full") && (!capacity() || used_here + used_elsewhere() + size <= capacity()))
        result = next.allocate(device, info, callbacks, memory);
    if (result == VK_SUCCESS) {
        struct allocation *made = malloc(sizeof *made);
        *made = (struct allocation){*memory, size, allocations};
        allocations = made;
        used_here += size;
        publish_use();
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static VKAPI_ATTR void VKAPI_CALL release(VkDevice device, VkDeviceMemory memory, const VkAllocationCallbacks *callbacks) {
    pthread_mutex_lock(&lock);
    for (struct allocation **at = &allocations; *at; at = &(*at)->next) {
        struct allocation *found = *at;
        if (found->memory != memory) continue;
        used_here -= found->size;
        *at = found->next;
        free(found);
        publish_use();
        break;
    }
    pthread_mutex_unlock(&lock);
    next.release(device, memory, callbacks);
}

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos, VkFence fence) {
    if (unlink(state_path("lose")) == 0) return VK_ERROR_DEVICE_LOST;
    return next.submit(queue, count, infos, fence);
}

/* What the device says of itself -------------------------------------------------------------------------------- */

static void shrink(VkPhysicalDeviceMemoryProperties *memory) {
    for (uint32_t heap = 0; capacity() && heap < memory->memoryHeapCount; heap++) memory->memoryHeaps[heap].size = capacity();
}

static VKAPI_ATTR void VKAPI_CALL memory(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties *properties) {
    next.memory(device, properties);
    shrink(properties);
}

static VKAPI_ATTR void VKAPI_CALL memory2(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2 *properties) {
    next.memory2(device, properties);
    shrink(&properties->memoryProperties);
    for (VkBaseOutStructure *part = properties->pNext; part && capacity(); part = part->pNext) {
        if (part->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT) continue;
        VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget = (void *)part;
        const VkDeviceSize others = used_elsewhere();
        for (uint32_t heap = 0; heap < properties->memoryProperties.memoryHeapCount; heap++) {
            budget->heapBudget[heap] = others < capacity() ? capacity() - others : 0;
            budget->heapUsage[heap] = used_here;
        }
    }
}

static VKAPI_ATTR void VKAPI_CALL properties(VkPhysicalDevice device, VkPhysicalDeviceProperties *answer) {
    next.properties(device, answer);
    answer->deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
}

static VKAPI_ATTR void VKAPI_CALL properties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2 *answer) {
    next.properties2(device, answer);
    answer->properties.deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
}

/* How the loader reaches the functions above -------------------------------------------------------------------- */

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_function(VkInstance of, const char *name);
static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice of, const char *name);

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info,
                                                      const VkAllocationCallbacks *callbacks, VkInstance *made) {
    VkLayerInstanceCreateInfo *chain = (void *)info->pNext;
    while (chain && (chain->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO || chain->function != VK_LAYER_LINK_INFO))
        chain = (void *)chain->pNext;
    if (!chain) return VK_ERROR_INITIALIZATION_FAILED;
    next.instance_function = chain->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    chain->u.pLayerInfo = chain->u.pLayerInfo->pNext;
    PFN_vkCreateInstance create = (PFN_vkCreateInstance)next.instance_function(NULL, "vkCreateInstance");
    const VkResult result = create(info, callbacks, made);
    if (result != VK_SUCCESS) return result;
    instance = *made;
    next.properties = (void *)next.instance_function(instance, "vkGetPhysicalDeviceProperties");
    next.properties2 = (void *)next.instance_function(instance, "vkGetPhysicalDeviceProperties2");
    next.memory = (void *)next.instance_function(instance, "vkGetPhysicalDeviceMemoryProperties");
    next.memory2 = (void *)next.instance_function(instance, "vkGetPhysicalDeviceMemoryProperties2");
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                                                    const VkAllocationCallbacks *callbacks, VkDevice *made) {
    VkLayerDeviceCreateInfo *chain = (void *)info->pNext;
    while (chain && (chain->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO || chain->function != VK_LAYER_LINK_INFO))
        chain = (void *)chain->pNext;
    if (!chain) return VK_ERROR_INITIALIZATION_FAILED;
    next.device_function = chain->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    PFN_vkGetInstanceProcAddr below = chain->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    chain->u.pLayerInfo = chain->u.pLayerInfo->pNext;
    PFN_vkCreateDevice create = (PFN_vkCreateDevice)below(instance, "vkCreateDevice");
    const VkResult result = create(physical, info, callbacks, made);
    if (result != VK_SUCCESS) return result;
    next.allocate = (void *)next.device_function(*made, "vkAllocateMemory");
    next.release = (void *)next.device_function(*made, "vkFreeMemory");
    next.submit = (void *)next.device_function(*made, "vkQueueSubmit");
    return result;
}

static PFN_vkVoidFunction intercepted(const char *name) {
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } table[] = {
        {"vkGetInstanceProcAddr", (PFN_vkVoidFunction)instance_function},
        {"vkGetDeviceProcAddr", (PFN_vkVoidFunction)device_function},
        {"vkCreateInstance", (PFN_vkVoidFunction)create_instance},
        {"vkCreateDevice", (PFN_vkVoidFunction)create_device},
        {"vkAllocateMemory", (PFN_vkVoidFunction)allocate},
        {"vkFreeMemory", (PFN_vkVoidFunction)release},
        {"vkQueueSubmit", (PFN_vkVoidFunction)submit},
        {"vkGetPhysicalDeviceProperties", (PFN_vkVoidFunction)properties},
        {"vkGetPhysicalDeviceProperties2", (PFN_vkVoidFunction)properties2},
        {"vkGetPhysicalDeviceProperties2KHR", (PFN_vkVoidFunction)properties2},
        {"vkGetPhysicalDeviceMemoryProperties", (PFN_vkVoidFunction)memory},
        {"vkGetPhysicalDeviceMemoryProperties2", (PFN_vkVoidFunction)memory2},
        {"vkGetPhysicalDeviceMemoryProperties2KHR", (PFN_vkVoidFunction)memory2},
    };
    for (size_t at = 0; at < sizeof table / sizeof *table; at++)
        if (strcmp(name, table[at].name) == 0) return table[at].function;
    return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_function(VkInstance of, const char *name) {
    PFN_vkVoidFunction own = intercepted(name);
    return own || !of ? own : next.instance_function(of, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice of, const char *name) {
    PFN_vkVoidFunction own = intercepted(name);
    return own ? own : next.device_function(of, name);
}

__attribute__((visibility("default"))) VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *offer) {
    offer->loaderLayerInterfaceVersion = 2;
    offer->pfnGetInstanceProcAddr = instance_function;
    offer->pfnGetDeviceProcAddr = device_function;
    offer->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
