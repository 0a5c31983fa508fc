// rms_norm, rope and norm_rope: one block for each head of a row, whose threads keep their own columns, so that in place is safe.
//   y = x * (mean(x^2) + eps)^-0.5 * (weight + offset), then + residual, then * factor; or the rotation of the pairs (i, i + dim / 2).
// Bound: latency when decoding (a few kilobytes), memory when prefilling (8 bytes an element; the second reading comes from L1).
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

// x -> x * inverse * (weight + offset)
struct Normalizer {
  const float* weight;
  float offset, inverse;
  __device__ float operator()(float x, int i) const { return x * inverse * (weight ? weight[i] + offset : 1.0f); }
};

__device__ float inverseRms(const float* x, int dim, float eps) {
  float squares = 0;
  for (int i = threadIdx.x; i < dim; i += blockDim.x) squares += x[i] * x[i];
  return rsqrtf(blockSumMax(squares, 0).x / static_cast<float>(dim) + eps);
}

struct RmsNorm {
  CudaRows in, residual, out;
  const float *weight, *factor;
  float eps, offset;
  int dim;
};

__global__ void rmsNorm(RmsNorm p) {
  letNextStart();
  waitForPrevious();
  const int64_t row = blockIdx.x, column = int64_t{blockIdx.y} * p.dim;
  const float* x = p.in.data + row * p.in.stride + column;
  const Normalizer normalize{p.weight, p.offset, inverseRms(x, p.dim, p.eps)};
  const float* residual = p.residual.data ? p.residual.data + row * p.residual.stride + column : nullptr;
  const float factor = p.factor ? *p.factor : 1;
  float* out = p.out.data + row * p.out.stride + column;
  for (int i = threadIdx.x; i < p.dim; i += blockDim.x) {
    const float y = normalize(x[i], i);
    out[i] = (residual ? y + residual[i] : y) * factor;
  }
}

struct NormRope {
  CudaRows in, out;
  const float *weight, *table;
  float eps, offset;
  int headDim, dim;
};

__global__ void normRope(NormRope p) {
  letNextStart();
  waitForPrevious();
  const int64_t row = blockIdx.x, column = int64_t{blockIdx.y} * p.headDim;
  const float* x = p.in.data + row * p.in.stride + column;
  float* out = p.out.data + row * p.out.stride + column;
  const Normalizer normalize{p.eps > 0 ? p.weight : nullptr, p.offset, p.eps > 0 ? inverseRms(x, p.headDim, p.eps) : 1};
  const int half = p.dim / 2;
  const float *cosines = p.table + row * p.dim, *sines = cosines + half;
  for (int i = threadIdx.x; i < half; i += blockDim.x) {
    const float a = normalize(x[i], i), b = normalize(x[i + half], i + half);
    out[i] = a * cosines[i] - b * sines[i];
    out[i + half] = b * cosines[i] + a * sines[i];
  }
  for (int i = p.dim + threadIdx.x; i < p.headDim; i += blockDim.x) out[i] = normalize(x[i], i);
}

__global__ void fillRope(const float* invFreq, int half, float factor, const int* positions, int rows, float* table) {
  letNextStart();
  waitForPrevious();
  const int64_t item = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (item >= int64_t{rows} * half) return;
  const int64_t row = item / half;
  const int i = static_cast<int>(item % half);
  float sine, cosine;
  sincosf(static_cast<float>(positions[row]) * invFreq[i], &sine, &cosine);
  table[row * 2 * half + i] = cosine * factor;
  table[row * 2 * half + half + i] = sine * factor;
}

// About four columns for a thread.
int threadsFor(int dim) {
  int threads = 32;
  while (threads < 1024 && threads * 4 < dim) threads *= 2;
  return threads;
}

}  // namespace

int32_t launchRmsNorm(CudaRows in, const float* weight, float eps, float offset, int32_t heads, int32_t dim, CudaRows residual,
                      const float* factor, int32_t rows, CudaRows out, void* stream) {
  const RmsNorm p{in, residual, out, weight, factor, eps, offset, dim};
  return launch(rmsNorm, dim3(static_cast<unsigned>(rows), static_cast<unsigned>(heads)), static_cast<unsigned>(threadsFor(dim)), 0, stream, p);
}

int32_t launchFillRope(const float* invFreq, int32_t dim, float factor, const int32_t* positions, int32_t rows, float* table, void* stream) {
  constexpr int kThreads = 128;
  return launch(fillRope, blocksFor(int64_t{rows} * (dim / 2), kThreads), kThreads, 0, stream, invFreq, dim / 2, factor, positions, rows, table);
}

int32_t launchNormRope(CudaRows in, const float* weight, float eps, float offset, int32_t heads, int32_t headDim, const float* table,
                       int32_t dim, int32_t rows, CudaRows out, void* stream) {
  if (dim > headDim || dim % 2) return cudaErrorInvalidValue;
  const NormRope p{in, out, weight, table, eps, offset, headDim, dim};
  const unsigned threads = static_cast<unsigned>(threadsFor(headDim / 2));
  return launch(normRope, dim3(static_cast<unsigned>(rows), static_cast<unsigned>(heads)), threads, 0, stream, p);
}

}  // namespace mistralrs::cuda
