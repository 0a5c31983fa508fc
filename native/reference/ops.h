// The ops of docs/plan.md, each over all rows of the step.
#pragma once
#include "reference/kv_pool.h"
#include "reference/step.h"

namespace mistralrs::reference {

// linear.cc
void linear(const Op& op, Step& step);
void gatedLinear(const Op& op, Step& step);

// norm_rope.cc
void rmsNorm(const Op& op, Step& step);
void rope(const Op& op, Step& step);
void normRope(const Op& op, Step& step);
// Norm of `count` values: from[i] * (mean of squares + eps)^-0.5 * (weight[i] + offset); in place allowed. `weight` may be null.
void normalize(const float* from, int64_t count, const Norm& norm, const float* weight, float* to);

// attention.cc
void kvWrite(const Op& op, Step& step, KvPool& pool);
void attention(const Op& op, Step& step, const KvPool& pool);

// elementwise.cc
void embed(const Op& op, Step& step);
void add(const Op& op, Step& step);
void scale(const Op& op, Step& step);
void actMul(const Op& op, Step& step);
void softcap(const Op& op, Step& step);
void selectRows(const Op& op, Step& step);
void meanRows(const Op& op, Step& step);
float activated(Act act, float gate, float up);  // act(gate) * up

}  // namespace mistralrs::reference
