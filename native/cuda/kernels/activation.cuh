// act(gate) * up of docs/plan.md.
#pragma once
#include <cuda_runtime.h>

namespace mistralrs::cuda {

enum { kSilu = 0, kGeluTanh = 1 };  // Act of plan/plan.h

__device__ inline float activated(int act, float gate, float up) {
  if (act == kSilu) return gate / (1 + expf(-gate)) * up;
  // The tanh form of GELU: Hendrycks and Gimpel, arXiv:1606.08415.
  const float inner = 0.7978845608f * (gate + 0.044715f * gate * gate * gate);
  return 0.5f * gate * (1 + tanhf(inner)) * up;
}

}  // namespace mistralrs::cuda
