// The vector type of the variant being compiled: `F32`, kLanes floats, and the few operations kernels are written in.
// fma(a, b, c) is a * b + c: fused where the variant has FMA, rounded twice in the generic one.
#pragma once
#if defined(MISTRALRS_ISA_AVX512)
#include "cpu/kernels/simd_avx512.h"
#elif defined(MISTRALRS_ISA_AVX2)
#include "cpu/kernels/simd_avx2.h"
#else
#include "cpu/kernels/simd_generic.h"
#endif
