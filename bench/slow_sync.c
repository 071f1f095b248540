/* A disk that flushes slowly: preloaded, every flush takes SLOW_SYNC_MICROSECONDS longer. For bench/compare --slow-disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_first(void)
{
    const char *text = getenv("SLOW_SYNC_MICROSECONDS");
    if (text)
        usleep((useconds_t)atoi(text));
}

int fdatasync(int file)
{
    wait_first();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}

int fsync(int file)
{
    wait_first();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}
