// add, scale, act_mul, softcap, select_rows and mean_rows: one thread for an element, neighbours side by side. Bound: memory; 8 to 12 bytes
// an element. Views begin at any column, so accesses are single floats.
#include "cuda/kernels/activation.cuh"
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/table.cuh"

namespace mistralrs::cuda {
namespace {

struct Add {
  CudaRows a, b;
  float scale;
  __device__ float operator()(int row, int col) const { return (a.data[row * a.stride + col] + b.data[row * b.stride + col]) * scale; }
};
struct Scale {
  CudaRows in;
  const float* factor;
  __device__ float operator()(int row, int col) const { return in.data[row * in.stride + col] * *factor; }
};
struct ActMul {
  CudaRows gate, up;
  int act;
  __device__ float operator()(int row, int col) const {
    return activated(act, gate.data[row * gate.stride + col], up.data[row * up.stride + col]);
  }
};
struct Softcap {
  CudaRows in;
  float cap;
  __device__ float operator()(int row, int col) const { return cap * tanhf(in.data[row * in.stride + col] / cap); }
};
struct SelectRows {
  CudaRows in;
  const int* ids;
  __device__ float operator()(int row, int col) const { return in.data[ids[row] * in.stride + col]; }
};

struct MeanRows {
  CudaRows in;
  const int *ids, *sequenceOf, *queryStart;
  __device__ float operator()(int row, int col) const {
    const int sequence = sequenceOf[ids[row]], begin = queryStart[sequence], end = queryStart[sequence + 1];
    float sum = 0;
    for (int t = begin; t < end; ++t) sum += in.data[t * in.stride + col];
    return sum / static_cast<float>(end - begin);
  }
};

template <typename Fn>
__global__ void elements(Fn fn, int64_t count, int width, CudaRows out) {
  letNextStart();
  waitForPrevious();
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const int row = static_cast<int>(i / width), col = static_cast<int>(i % width);
  out.data[row * out.stride + col] = fn(row, col);
}

template <typename Fn>
int32_t launchElements(const Fn& fn, int32_t rows, int32_t width, CudaRows out, void* stream) {
  constexpr int kThreads = 256;
  const int64_t count = int64_t{rows} * width;
  return launch(elements<Fn>, blocksFor(count, kThreads), kThreads, 0, stream, fn, count, width, out);
}

}  // namespace

int32_t launchAdd(CudaRows a, CudaRows b, float scale, int32_t rows, int32_t width, CudaRows out, void* stream) {
  return launchElements(Add{a, b, scale}, rows, width, out, stream);
}
int32_t launchScale(CudaRows in, const float* factor, int32_t rows, int32_t width, CudaRows out, void* stream) {
  return launchElements(Scale{in, factor}, rows, width, out, stream);
}
int32_t launchActMul(CudaRows gate, CudaRows up, int32_t act, int32_t rows, int32_t width, CudaRows out, void* stream) {
  return launchElements(ActMul{gate, up, act}, rows, width, out, stream);
}
int32_t launchSoftcap(CudaRows in, float cap, int32_t rows, int32_t width, CudaRows out, void* stream) {
  return launchElements(Softcap{in, cap}, rows, width, out, stream);
}
int32_t launchSelectRows(CudaRows in, const int32_t* rowIds, int32_t rows, int32_t width, CudaRows out, void* stream) {
  return launchElements(SelectRows{in, rowIds}, rows, width, out, stream);
}
int32_t launchMeanRows(CudaRows in, const int32_t* rowIds, const int32_t* sequenceOf, const int32_t* queryStart, int32_t rows, int32_t width,
                       CudaRows out, void* stream) {
  return launchElements(MeanRows{in, rowIds, sequenceOf, queryStart}, rows, width, out, stream);
}

}  // namespace mistralrs::cuda
