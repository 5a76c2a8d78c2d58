/* Which vector code can be compiled here, and which of it this machine runs. */

#ifndef VOICE_AI_CPU_H
#define VOICE_AI_CPU_H

#if defined(__x86_64__) && defined(__GNUC__)
#define CPU_MAY_AVX2 1
/* One function for AVX2 in a file for any x86-64; what it calls inline is marked likewise. */
#define FOR_AVX2 __attribute__((target("avx2")))
#endif

/* Every aarch64 has NEON, and its compilers know it without a flag. */
#if defined(__aarch64__) && defined(__GNUC__)
#define CPU_MAY_NEON 1
#endif

/* Asks the processor for the feature (and the system whether it keeps the registers), not for its
   model: target_clones("arch=haswell") picks the slow version on AMD. */
static inline int cpu_runs_avx2(void) {
#ifdef CPU_MAY_AVX2
    return __builtin_cpu_supports("avx2") != 0;
#else
    return 0;
#endif
}

#endif
