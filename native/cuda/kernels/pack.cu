// From ggml's blocks to panels (panel.cuh), and from panels to the rows of embeddings.
// One thread for each block of 32 columns: it reads the block's codes one by one and writes the planes. Runs once, at load.
// Source of the layouts: ggml-common.h and ggml-quants.c of ggml, as in plan/dequantize.cc.
#include <type_traits>

#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/panel.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

__device__ uint16_t u16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }

// Bytes of ggml's block, and its columns.
__host__ __device__ constexpr int blockBytes(int type) {
  switch (type) {
    case kQ4_0: case kIQ4_NL: return 18;
    case kQ4_1: return 20;
    case kQ5_0: return 22;
    case kQ5_1: return 24;
    case kQ8_0: return 34;
    case kQ2_K: return 84;
    case kQ3_K: return 110;
    case kQ4_K: return 144;
    case kQ5_K: return 176;
    case kQ6_K: return 210;
    case kIQ4_XS: return 136;
    case kF32: return 4;
    default: return 2;
  }
}
__host__ __device__ constexpr int blockCols(int type) {
  switch (type) {
    case kQ2_K: case kQ3_K: case kQ4_K: case kQ5_K: case kQ6_K: case kIQ4_XS: return 256;
    case kF32: case kF16: case kBF16: return 1;
    default: return 32;
  }
}

__device__ int code2(const uint8_t* p, int i) { return p[32 * (i / 128) + i % 32] >> 2 * (i / 32 % 4) & 3; }
__device__ int code4(const uint8_t* p, int i) { return p[32 * (i / 64) + i % 32] >> 4 * (i / 32 % 2) & 15; }
__device__ int highBit(const uint8_t* p, int i) { return p[i % 32] >> i / 32 & 1; }
__device__ int nibble(const uint8_t* p, int i) { return i < 16 ? p[i] & 15 : p[i - 16] >> 4; }
__device__ int fifthBit(const uint8_t* p, int i) { return p[i / 8] >> i % 8 & 1; }

// Code of column i of a block, as panel.cuh wants it: never negative.
template <int kType>
__device__ int codeAt(const uint8_t* p, int i) {
  switch (kType) {
    case kQ4_0: case kIQ4_NL: return nibble(p + 2, i);
    case kQ4_1: return nibble(p + 4, i);
    case kQ5_0: return nibble(p + 6, i) | fifthBit(p + 2, i) << 4;
    case kQ5_1: return nibble(p + 8, i) | fifthBit(p + 4, i) << 4;
    case kQ8_0: return static_cast<int8_t>(p[2 + i]) + 128;
    case kQ2_K: return code2(p + 16, i);
    case kQ3_K: return code2(p + 32, i) | highBit(p, i) << 2;
    case kQ4_K: return code4(p + 16, i);
    case kQ5_K: return code4(p + 48, i) | highBit(p + 16, i) << 4;
    case kQ6_K: return (p[64 * (i / 128) + i % 64] >> 4 * (i / 64 % 2) & 15) | code2(p + 128, i) << 4;
    case kIQ4_XS: return nibble(p + 8 + 16 * (i / 32), i % 32);
    default: return 0;
  }
}

// The bytes below a super-scale, for 32 columns beginning at sub-block j of 32.
template <int kType>
__device__ uint32_t subScales(const uint8_t* p, int j) {
  if constexpr (kType == kQ2_K) return p[2 * j] | p[2 * j + 1] << 8;
  if constexpr (kType == kQ6_K) return p[192 + 2 * j] | p[192 + 2 * j + 1] << 8;
  if constexpr (kType == kQ3_K) {
    const uint8_t* scales = p + 96;
    uint32_t both = 0;
    for (int i = 0; i < 2; ++i) {
      const int k = 2 * j + i;
      const int low = k < 8 ? scales[k] & 15 : scales[k - 8] >> 4, high = scales[8 + k % 4] >> 2 * (k / 4) & 3;
      both |= static_cast<uint32_t>((low | high << 4) - 32 & 255) << 8 * i;
    }
    return both;
  }
  if constexpr (kType == kIQ4_XS) {
    const uint32_t scale = ((p[4 + j / 2] >> 4 * (j % 2) & 15) | (u16(p + 2) >> 2 * j & 3) << 4) - 32 & 255;
    return scale | scale << 8;
  }
  const uint8_t* s = p + 4;  // Q4_K, Q5_K
  const uint32_t scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
  const uint32_t minimum = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
  return scale | minimum << 8;
}

// float16 d, and dmin in the upper half.
template <int kType>
__device__ uint32_t superScales(const uint8_t* p) {
  switch (kType) {
    case kQ2_K: return u16(p + 80) | u16(p + 82) << 16;
    case kQ3_K: return u16(p + 108);
    case kQ6_K: return u16(p + 208);
    case kIQ4_XS: return u16(p);
    default: return u16(p) | u16(p + 2) << 16;
  }
}

__device__ bool finite16(uint32_t bits) { return (bits & 0x7c00) != 0x7c00; }

template <int kType>
__device__ bool isUsable(uint16_t bits) {
  if (kType == kF16) return finite16(bits);
  return fabsf(__uint_as_float(uint32_t{bits} << 16)) <= 65504;  // false for NaN; products are of float16 (panel.cuh)
}

template <int kType>
__device__ bool packFloats(uint8_t* chunk, const uint8_t* row, int cols, int block, int rowInPanel) {
  bool ok = true;
  const int half = rowInPanel / 8, lane = rowInPanel % 8 * 4 + block % 4;
  for (int i = 0; i < 32 && block * 32 + i < cols; ++i) {
    const uint16_t bits = u16(row + (block * 32 + i) * 2);
    ok &= isUsable<kType>(bits);
    *reinterpret_cast<uint16_t*>(chunk + ((half * 4 + i / 8) * 32 + lane) * 16 + i % 8 * 2) = bits;
  }
  return ok;
}

template <int kType>
__device__ bool packBlock(uint8_t* chunk, const uint8_t* row, int block, int rowInPanel) {
  constexpr Format kFormat = formatOf(kType);
  constexpr ChunkShape kShape = chunkShape(kType);
  constexpr int kLow = kFormat.lowBits, kHigh = kFormat.highBits, kPerSuper = blockCols(kType) / 32;
  const uint8_t* source = row + int64_t{block / kPerSuper} * blockBytes(kType);
  const int j = block % kPerSuper, lane = rowInPanel % 8 * 4 + block % 4, half = rowInPanel / 8;

  uint32_t low[8] = {}, high[2] = {};
  for (int s = 0; s < 8; ++s)
    for (int e = 0; e < 4; ++e) {
      const uint32_t code = codeAt<kType>(source, 32 * j + 4 * s + e), lowPart = code & ((1 << kLow) - 1), highPart = code >> kLow;
      if (kLow == 8) low[s] |= lowPart << 8 * e;
      if (kLow == 4) low[s & 3] |= lowPart << (8 * e + 4 * (s >> 2));
      if (kLow == 2) low[s & 1] |= lowPart << (8 * e + 2 * (s >> 1));
      if (kHigh == 1) high[0] |= highPart << (8 * e + s);
      if (kHigh == 2) high[s & 1] |= highPart << (8 * e + 2 * (s >> 1));
    }
  constexpr int kPieceWords = kLow == 2 ? 2 : 4, kPieces = kLow / kPieceWords;
  for (int w = 0; w < kLow; ++w)
    reinterpret_cast<uint32_t*>(chunk)[((half * kPieces + w / kPieceWords) * 32 + lane) * kPieceWords + w % kPieceWords] = low[w];
  for (int w = 0; w < kHigh; ++w) reinterpret_cast<uint32_t*>(chunk + kShape.high)[(half * 32 + lane) * kHigh + w] = high[w];

  uint8_t* sub = chunk + kShape.sub + (half * 32 + lane) * kShape.subBytes;
  if constexpr (kFormat.scales == Scales::kBlock) {
    *reinterpret_cast<uint16_t*>(sub) = u16(source);
    return finite16(u16(source));
  } else if constexpr (kFormat.scales == Scales::kBlockMin) {
    *reinterpret_cast<uint32_t*>(sub) = u16(source) | u16(source + 2) << 16;
    return finite16(u16(source)) && finite16(u16(source + 2));
  } else {
    *reinterpret_cast<uint16_t*>(sub) = static_cast<uint16_t>(subScales<kType>(source, j));
    const uint32_t super = superScales<kType>(source);
    uint8_t* to = chunk + kShape.super + rowInPanel * kShape.superBytes;
    if (kShape.superBytes == 2) *reinterpret_cast<uint16_t*>(to) = static_cast<uint16_t>(super);
    else *reinterpret_cast<uint32_t*>(to) = super;  // four blocks write the same
    return finite16(super) && (kShape.superBytes == 2 || finite16(super >> 16));
  }
}

template <int kType>
__global__ void pack(uint8_t* data, const uint8_t* rows, int cols, int firstRow, int numRows, int* badRow) {
  waitForPrevious();
  const int blocks = (cols + 31) / 32;
  const int64_t item = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (item >= int64_t{numRows} * blocks) return;
  const int row = static_cast<int>(item / blocks), block = static_cast<int>(item % blocks), at = firstRow + row;
  uint8_t* chunk = data + int64_t{at / 16} * panelBytes(kType, cols) + block / 4 * chunkShape(kType).bytes;
  const uint8_t* source = rows + int64_t{row} * (cols / blockCols(kType)) * blockBytes(kType);
  bool ok;
  if constexpr (kType == kF16 || kType == kBF16) ok = packFloats<kType>(chunk, source, cols, block, at % 16);
  else ok = packBlock<kType>(chunk, source, block, at % 16);
  if (!ok) atomicMin(badRow, at);
}

__global__ void copyF32(float* to, const float* from, int cols, int firstRow, int64_t count, int* badRow) {
  waitForPrevious();
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  to[int64_t{firstRow} * cols + i] = from[i];
  if (!isfinite(from[i])) atomicMin(badRow, firstRow + static_cast<int>(i / cols));
}

constexpr int kMaxRuns = 8;
struct Runs {
  CudaWeight weights[kMaxRuns];
  int firstRows[kMaxRuns];
  int count;
};

// Columns 4s .. 4s+3 of a block of a row.
template <int kType>
__device__ float4 blockValues(const uint8_t* data, int cols, int row, int block, int s) {
  constexpr ChunkShape kShape = chunkShape(kType);
  const uint8_t* chunk = data + int64_t{row / 16} * panelBytes(kType, cols) + block / 4 * kShape.bytes;
  const int rowInPanel = row % 16, lane = rowInPanel % 8 * 4 + block % 4, half = rowInPanel / 8;
  if constexpr (kType == kF16 || kType == kBF16) {
    const auto* bits = reinterpret_cast<const uint16_t*>(chunk + ((half * 4 + s / 2) * 32 + lane) * 16 + s % 2 * 8);
    float v[4];
    for (int e = 0; e < 4; ++e)
      v[e] = kType == kF16 ? __half2float(__ushort_as_half(bits[e])) : __uint_as_float(uint32_t{bits[e]} << 16);
    return {v[0], v[1], v[2], v[3]};
  } else {
    constexpr Format kFormat = formatOf(kType);
    constexpr int kPieceWords = kFormat.lowBits == 2 ? 2 : 4, kPieces = kFormat.lowBits / kPieceWords;
    uint32_t low[kFormat.lowBits], high[2] = {};
    for (int w = 0; w < kFormat.lowBits; ++w)
      low[w] = reinterpret_cast<const uint32_t*>(chunk)[((half * kPieces + w / kPieceWords) * 32 + lane) * kPieceWords + w % kPieceWords];
    for (int w = 0; w < kFormat.highBits; ++w)
      high[w] = reinterpret_cast<const uint32_t*>(chunk + kShape.high)[(half * 32 + lane) * kFormat.highBits + w];
    const uint8_t* sub = chunk + kShape.sub + (half * 32 + lane) * kShape.subBytes;
    const uint8_t* super = chunk + kShape.super + rowInPanel * kShape.superBytes;
    const uint32_t subWord = kShape.subBytes == 4 ? *reinterpret_cast<const uint32_t*>(sub) : *reinterpret_cast<const uint16_t*>(sub);
    const uint32_t superWord = kShape.superBytes == 4   ? *reinterpret_cast<const uint32_t*>(super)
                               : kShape.superBytes == 2 ? *reinterpret_cast<const uint16_t*>(super)
                                                       : 0;
    const BlockScales scales = blockScales<kType>(subWord, superWord);
    const uint32_t codes = stepCodes<kType>(low, high, s);
    float v[4];
    for (int e = 0; e < 4; ++e)
      v[e] = scales.scale[s / 4] * static_cast<float>(static_cast<int>(codes >> 8 * e & 255) - kFormat.zero) + scales.minimum[s / 4];
    return {v[0], v[1], v[2], v[3]};
  }
}

template <int kType>
__device__ float4 rowValues(const CudaWeight& weight, int row, int col) {
  return blockValues<kType>(weight.data, weight.cols, row, col / 32, col % 32 / 4);
}

__device__ float4 weightValues(const CudaWeight& weight, int row, int col) {
  switch (weight.type) {
#define CASE(TYPE) \
  case TYPE: return rowValues<TYPE>(weight, row, col);
    CASE(kF16) CASE(kBF16) CASE(kQ4_0) CASE(kQ4_1) CASE(kQ5_0) CASE(kQ5_1) CASE(kQ8_0) CASE(kQ2_K) CASE(kQ3_K) CASE(kQ4_K) CASE(kQ5_K)
    CASE(kQ6_K) CASE(kIQ4_NL) CASE(kIQ4_XS)
#undef CASE
    default: {
      const float* from = reinterpret_cast<const float*>(weight.data) + int64_t{row} * weight.cols;
      float v[4];
      for (int e = 0; e < 4; ++e) v[e] = col + e < weight.cols ? from[col + e] : 0;
      return {v[0], v[1], v[2], v[3]};
    }
  }
}

// One thread for four columns of a token.
__global__ void embed(const __grid_constant__ Runs runs, const int* tokens, int rows, float scale, CudaRows out) {
  letNextStart();
  waitForPrevious();
  const int cols = runs.weights[0].cols, groups = (cols + 3) / 4;
  const int64_t item = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (item >= int64_t{rows} * groups) return;
  const int t = static_cast<int>(item / groups), col = static_cast<int>(item % groups) * 4, token = tokens[t];
  int run = 0;
  while (run + 1 < runs.count && runs.firstRows[run + 1] <= token) ++run;
  const float4 v = weightValues(runs.weights[run], token - runs.firstRows[run], col);
  const float values[4] = {v.x, v.y, v.z, v.w};
  for (int e = 0; e < 4 && col + e < cols; ++e) out.data[t * out.stride + col + e] = values[e] * scale;
}

}  // namespace

int64_t weightBytes(int32_t type, int64_t rows, int64_t cols) {
  const int64_t bytes = type == kF32 ? rows * cols * 4 : (rows + 15) / 16 * panelBytes(type, cols);
  return (bytes + 255) / 256 * 256;
}

int32_t launchPack(CudaWeight to, const uint8_t* blocks, int32_t firstRow, int32_t numRows, int32_t* badRow, void* stream) {
  constexpr int kThreads = 256;
  if (to.type == kF32) {
    const int64_t count = int64_t{numRows} * to.cols;
    return launch(copyF32, blocksFor(count, kThreads), kThreads, 0, stream, reinterpret_cast<float*>(const_cast<uint8_t*>(to.data)),
                  reinterpret_cast<const float*>(blocks), to.cols, firstRow, count, badRow);
  }
  int result = cudaErrorInvalidValue;
  withPanelType(to.type, [&]<int kType>() {
    if (to.cols % blockCols(kType)) return;
    result = launch(pack<kType>, blocksFor(int64_t{numRows} * ((to.cols + 31) / 32), kThreads), kThreads, 0, stream,
                    const_cast<uint8_t*>(to.data), blocks, to.cols, firstRow, numRows, badRow);
  });
  return result;
}

int32_t launchEmbed(const CudaWeight* weights, const int32_t* firstRows, int32_t numRuns, const int32_t* tokens, int32_t rows, float scale,
                    CudaRows out, void* stream) {
  if (numRuns < 1 || numRuns > kMaxRuns) return cudaErrorInvalidValue;
  Runs runs{};
  runs.count = numRuns;
  for (int i = 0; i < numRuns; ++i) {
    runs.weights[i] = weights[i];
    runs.firstRows[i] = firstRows[i];
  }
  constexpr int kThreads = 128;
  return launch(embed, blocksFor(int64_t{rows} * ((weights[0].cols + 3) / 4), kThreads), kThreads, 0, stream, runs, tokens, rows, scale, out);
}

}  // namespace mistralrs::cuda
