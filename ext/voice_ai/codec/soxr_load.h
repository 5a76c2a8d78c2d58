/* Finds libsoxr's functions in a shared object at run time. */

#ifndef VOICE_AI_SOXR_LOAD_H
#define VOICE_AI_SOXR_LOAD_H

#include <string.h>

#include "soxr_abi.h"

#ifdef _WIN32

/* The soxr wheels for Windows export nothing, and there is no system libsoxr. */
static const char *soxr_load(const char *path, soxr_calls *calls) {
    (void)path;
    memset(calls, 0, sizeof *calls);
    return "shared objects are not looked into on Windows";
}

#else

#include <dlfcn.h>

/* POSIX has dlsym give functions as data pointers. ISO C has no cast for it: octets are copied. */
static int soxr_find(void *object, const char *name, void *call) {
    void *found = dlsym(object, name);
    memcpy(call, &found, sizeof found);
    return found != NULL;
}

/* Returns NULL, or why not; the text lasts until the next dl call. What was loaded stays loaded. */
static const char *soxr_load(const char *path, soxr_calls *calls) {
    /* Lazily: an extension module's calls into Python are never made. */
    void *object = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (object == NULL)
        return dlerror();
    if (soxr_find(object, "soxr_version", &calls->version)
        && soxr_find(object, "soxr_io_spec", &calls->io_spec)
        && soxr_find(object, "soxr_quality_spec", &calls->quality_spec)
        && soxr_find(object, "soxr_runtime_spec", &calls->runtime_spec)
        && soxr_find(object, "soxr_create", &calls->create)
        && soxr_find(object, "soxr_delete", &calls->destroy)
        && soxr_find(object, "soxr_process", &calls->process)
        && soxr_find(object, "soxr_delay", &calls->delay)
        && soxr_find(object, "soxr_engine", &calls->engine))
        return NULL;
    dlclose(object);
    return "it does not export libsoxr's C functions";
}

#endif

#endif
