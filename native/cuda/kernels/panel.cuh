// Weights as the tensor cores read them. A panel is 16 rows: the M of mma.m16n8k16, whose A operand gives lane (g, t), g = lane / 4,
// t = lane % 4, the rows g and g + 8 ("half" 0 and 1) and four columns of sixteen. Which sixteen is ours to choose as long as the
// activations agree: of a chunk of 128 columns lane t owns block t, 32 columns in a row, and step s of 8 multiplies columns
// 4s .. 4s+3 of all four blocks. So a lane reads its own blocks, 16 bytes at a time, and a warp reads consecutive memory.
//
//   panel:  chunks one after the other, each    [low codes][high codes][sub-scales][super-scales]
//   low     [half][piece][lane] of 16 bytes (2-bit codes: 8)     F16, BF16: the values themselves
//   high    [half][lane] of 4 bytes for each high bit            the fifth bit of Q5, the upper two of Q6_K ...
//   sub     [half][lane] of 2 bytes (Q4_1, Q5_1: 4)              the scale of a block, or the small scales below a super-scale
//   super   [row] of 2 bytes (with a minimum: 4)                 float16 d and dmin of 256 columns, so both chunks of them have it
//
// Every type is value = scale * (code - zero) + minimum. Codes of step s are the bytes of one word after a shift and a mask.
#pragma once
#include <cuda_fp16.h>
#include <stdint.h>

namespace mistralrs::cuda {

// ggml's type ids, as DType of plan/weights.h.
enum Type : int {
  kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ5_0 = 6, kQ5_1 = 7, kQ8_0 = 8, kQ2_K = 10, kQ3_K = 11, kQ4_K = 12, kQ5_K = 13, kQ6_K = 14,
  kIQ4_NL = 20, kIQ4_XS = 23, kBF16 = 30,
};

enum class Scales {
  kNone,
  kBlock,       // float16 scale of 32 columns
  kBlockMin,    // and minimum
  kSuper16,     // two int8 scales, of 16 columns each, times d
  kSuper16Min,  // two bytes, 4-bit scale and minimum of 16 columns each, times d and dmin
  kSuper32Min,  // scale and minimum bytes of 32 columns, times d and dmin
};

struct Format {
  int lowBits, highBits;
  int zero;
  Scales scales;
  bool book;  // low codes are indices into IQ4's code book
};

__host__ __device__ constexpr Format formatOf(int type) {
  switch (type) {
    case kQ4_0: return {4, 0, 8, Scales::kBlock, false};
    case kQ4_1: return {4, 0, 0, Scales::kBlockMin, false};
    case kQ5_0: return {4, 1, 16, Scales::kBlock, false};
    case kQ5_1: return {4, 1, 0, Scales::kBlockMin, false};
    case kQ8_0: return {8, 0, 128, Scales::kBlock, false};  // signed bytes, stored plus 128
    case kQ2_K: return {2, 0, 0, Scales::kSuper16Min, false};
    case kQ3_K: return {2, 1, 4, Scales::kSuper16, false};
    case kQ4_K: return {4, 0, 0, Scales::kSuper32Min, false};
    case kQ5_K: return {4, 1, 0, Scales::kSuper32Min, false};
    case kQ6_K: return {4, 2, 32, Scales::kSuper16, false};
    case kIQ4_NL: return {4, 0, 128, Scales::kBlock, true};
    case kIQ4_XS: return {4, 0, 128, Scales::kSuper16, true};  // both scales are the block's one
    default: return {16, 0, 0, Scales::kNone, false};
  }
}

// Where the planes of a chunk lie, in bytes; a multiple of 32 in all.
struct ChunkShape {
  int high, sub, super, bytes;
  int subBytes, superBytes;  // of a block; of a row
};

__host__ __device__ constexpr ChunkShape chunkShape(int type) {
  const Format f = formatOf(type);
  const bool hasMin = f.scales == Scales::kSuper16Min || f.scales == Scales::kSuper32Min;
  ChunkShape c{};
  c.subBytes = f.scales == Scales::kNone ? 0 : f.scales == Scales::kBlockMin ? 4 : 2;
  c.superBytes = f.scales == Scales::kSuper16 ? 2 : hasMin ? 4 : 0;
  c.high = 64 * 4 * f.lowBits;
  c.sub = c.high + 64 * 4 * f.highBits;
  c.super = c.sub + 64 * c.subBytes;
  c.bytes = c.super + 16 * c.superBytes;
  return c;
}

__host__ __device__ constexpr int chunksOf(int64_t cols) { return static_cast<int>((cols + 127) / 128); }
__host__ __device__ constexpr int64_t panelBytes(int type, int64_t cols) { return int64_t{chunksOf(cols)} * chunkShape(type).bytes; }

// ---- what a lane holds of one chunk ----

// From global memory past L1, which is for the activations; or from shared memory, where copies brought them.
enum class From { kGlobal, kShared };

template <From kFrom>
__device__ inline uint4 loadWeights16(const uint8_t* p) {
  if constexpr (kFrom == From::kShared) return *reinterpret_cast<const uint4*>(p);
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
template <From kFrom>
__device__ inline uint2 loadWeights8(const uint8_t* p) {
  if constexpr (kFrom == From::kShared) return *reinterpret_cast<const uint2*>(p);
  uint2 v;
  asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
  return v;
}
template <From kFrom, typename T>
__device__ inline T loadWord(const uint8_t* p) {
  if constexpr (kFrom == From::kShared) return *reinterpret_cast<const T*>(p);
  return __ldg(reinterpret_cast<const T*>(p));
}

// Scale and minimum of the block's two halves of 16 columns.
struct BlockScales {
  float scale[2], minimum[2];
};

template <int kType>
__device__ BlockScales blockScales(uint32_t sub, uint32_t super) {
  constexpr Scales kScales = formatOf(kType).scales;
  const float2 outer = __half22float2(*reinterpret_cast<const __half2*>(&super));
  if constexpr (kScales == Scales::kBlock || kScales == Scales::kBlockMin) {
    const float2 own = __half22float2(*reinterpret_cast<const __half2*>(&sub));
    const float minimum = kScales == Scales::kBlockMin ? own.y : 0;
    return {{own.x, own.x}, {minimum, minimum}};
  } else if constexpr (kScales == Scales::kSuper16) {
    const float a = static_cast<int8_t>(sub), b = static_cast<int8_t>(sub >> 8);
    return {{outer.x * a, outer.x * b}, {0, 0}};
  } else if constexpr (kScales == Scales::kSuper16Min) {
    const float a = sub & 15, b = sub >> 8 & 15, ma = sub >> 4 & 15, mb = sub >> 12 & 15;
    return {{outer.x * a, outer.x * b}, {-outer.y * ma, -outer.y * mb}};
  } else if constexpr (kScales == Scales::kSuper32Min) {
    const float scale = outer.x * static_cast<float>(sub & 255), minimum = -outer.y * static_cast<float>(sub >> 8 & 255);
    return {{scale, scale}, {minimum, minimum}};
  } else {
    return {{1, 1}, {0, 0}};
  }
}

// The entries of IQ4's code book plus 128, for four indices in the low halves of four bytes. Source of the values: ggml-common.h.
__device__ inline uint32_t lookUpBook(uint32_t indices) {
  const uint32_t pairs = indices | indices >> 4;
  const uint32_t selector = (pairs & 0xff) | (pairs >> 8 & 0xff00);
  const uint32_t low = __byte_perm(0x3f2d1801, 0x766a5d4f, selector & 0x7777), high = __byte_perm(0xa6998d81, 0xf1d9c5b5, selector & 0x7777);
  return __byte_perm(low, high, 0x3210 | (selector & 0x8888) >> 1);
}

// The four codes of step s, one in each byte, from a block's words.
template <int kType>
__device__ uint32_t stepCodes(const uint32_t* low, const uint32_t* high, int s) {
  constexpr Format kFormat = formatOf(kType);
  uint32_t codes;
  if constexpr (kFormat.lowBits == 8) codes = low[s];
  else if constexpr (kFormat.lowBits == 4) codes = low[s & 3] >> 4 * (s >> 2) & 0x0f0f0f0f;
  else codes = low[s & 1] >> 2 * (s >> 1) & 0x03030303;
  if constexpr (kFormat.book) codes = lookUpBook(codes);
  if constexpr (kFormat.highBits == 1) codes |= (high[0] >> s & 0x01010101) << kFormat.lowBits;
  if constexpr (kFormat.highBits == 2) codes |= (high[s & 1] >> 2 * (s >> 1) & 0x03030303) << kFormat.lowBits;
  return codes;
}

// Blocks of a lane in one chunk: its rows g and g + 8. A template, so that every index is known when it is compiled and all stays
// in registers.
template <int kType>
class LaneBlocks {
 public:
  static constexpr Format kFormat = formatOf(kType);
  static constexpr ChunkShape kShape = chunkShape(kType);
  static constexpr bool kFloat = kFormat.scales == Scales::kNone;
  static constexpr int kLowWords = kFormat.lowBits, kHighWords = kFormat.highBits;
  static constexpr int kPieces = kLowWords >= 4 ? kLowWords / 4 : 1;

  // Begins to read; nothing waits for it until `prepare` (or, of floats, `fragment`).
  template <From kFrom = From::kGlobal>
  __device__ void load(const uint8_t* chunk, int lane) {
    loadCodes<kFrom>(chunk, lane, 0, kPieces);
    if constexpr (!kFloat) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint8_t* sub = chunk + kShape.sub + (half * 32 + lane) * kShape.subBytes;
        if constexpr (kShape.subBytes == 4) sub_[half] = loadWord<kFrom, uint32_t>(sub);
        else sub_[half] = loadWord<kFrom, uint16_t>(sub);
        const uint8_t* super = chunk + kShape.super + (half * 8 + lane / 4) * kShape.superBytes;
        if constexpr (kShape.superBytes == 4) super_[half] = loadWord<kFrom, uint32_t>(super);
        else if constexpr (kShape.superBytes == 2) super_[half] = loadWord<kFrom, uint16_t>(super);
      }
    }
  }

  // Only pieces [begin, end) of the low codes: a float block in two goes.
  template <From kFrom = From::kGlobal>
  __device__ void loadCodes(const uint8_t* chunk, int lane, int begin, int end) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if constexpr (kLowWords == 2) {
        const uint2 v = loadWeights8<kFrom>(chunk + (half * 32 + lane) * 8);
        low_[half][0] = v.x;
        low_[half][1] = v.y;
      } else {
#pragma unroll
        for (int piece = 0; piece < kPieces; ++piece) {
          if (piece < begin || piece >= end) continue;
          const uint4 v = loadWeights16<kFrom>(chunk + ((half * kPieces + piece) * 32 + lane) * 16);
          low_[half][piece * 4] = v.x;
          low_[half][piece * 4 + 1] = v.y;
          low_[half][piece * 4 + 2] = v.z;
          low_[half][piece * 4 + 3] = v.w;
        }
      }
      const uint8_t* high = chunk + kShape.high + (half * 32 + lane) * kHighWords * 4;
      if constexpr (kHighWords == 1) high_[half][0] = loadWord<kFrom, uint32_t>(high);
      if constexpr (kHighWords == 2) {
        const uint2 v = loadWeights8<kFrom>(high);
        high_[half][0] = v.x;
        high_[half][1] = v.y;
      }
    }
  }

  // Turns scales into what `fragment` multiplies by.
  __device__ void prepare() {
    if constexpr (!kFloat) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const BlockScales scales = blockScales<kType>(sub_[half], super_[half]);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          scale_[half][i] = __float2half2_rn(scales.scale[i]);
          minimum_[half][i] = __float2half2_rn(scales.minimum[i]);
        }
      }
    }
  }

  // The A operand of step s: columns 0, 1 of rows g and g + 8, then columns 2, 3 of them.
  __device__ void fragment(int s, uint32_t (&a)[4]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      __half2 pair[2];
      if constexpr (kType == kF16) {
        pair[0] = *reinterpret_cast<const __half2*>(&low_[half][2 * s]);
        pair[1] = *reinterpret_cast<const __half2*>(&low_[half][2 * s + 1]);
      } else if constexpr (kType == kBF16) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const uint32_t word = low_[half][2 * s + i];
          pair[i] = __floats2half2_rn(__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000));
        }
      } else {
        // 0x6400 | code is 1024 + code in float16.
        constexpr bool kHasMin =
            kFormat.scales == Scales::kBlockMin || kFormat.scales == Scales::kSuper16Min || kFormat.scales == Scales::kSuper32Min;
        const uint32_t codes = stepCodes<kType>(low_[half], high_[half], s);
        const uint32_t words[2] = {__byte_perm(codes, 0x64646464, 0x4140), __byte_perm(codes, 0x64646464, 0x4342)};
        const __half2 zero = __float2half2_rn(1024.0f + kFormat.zero);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const __half2 code = __hsub2(*reinterpret_cast<const __half2*>(&words[i]), zero);
          pair[i] = kHasMin ? __hfma2(code, scale_[half][s / 4], minimum_[half][s / 4]) : __hmul2(code, scale_[half][s / 4]);
        }
      }
      a[half] = *reinterpret_cast<const uint32_t*>(&pair[0]);
      a[2 + half] = *reinterpret_cast<const uint32_t*>(&pair[1]);
    }
  }

 private:
  uint32_t low_[2][kLowWords];
  uint32_t high_[2][kHighWords ? kHighWords : 1];
  uint32_t sub_[2], super_[2] = {};
  __half2 scale_[2][2], minimum_[2][2];
};

// fn.template operator()<kType>() for the one of kTypes that `type` is; false when it is none.
template <int... kTypes, typename Fn>
bool withType(int type, const Fn& fn) {
  return ((type == kTypes && (fn.template operator()<kTypes>(), true)) || ...);
}

// Types in three groups, so that kernels made for each of them can be compiled in as many files.
template <typename Fn>
bool withFloatType(int type, const Fn& fn) {
  return withType<kF16, kBF16>(type, fn);
}
template <typename Fn>
bool withBlockType(int type, const Fn& fn) {
  return withType<kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kIQ4_NL>(type, fn);
}
template <typename Fn>
bool withSuperType(int type, const Fn& fn) {
  return withType<kQ2_K, kQ3_K, kQ4_K, kQ5_K, kQ6_K, kIQ4_XS>(type, fn);
}
template <typename Fn>
bool withPanelType(int type, const Fn& fn) {
  return withFloatType(type, fn) || withBlockType(type, fn) || withSuperType(type, fn);
}

}  // namespace mistralrs::cuda
