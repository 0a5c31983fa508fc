// The passes over whole rows of logits, in blocks. Each element and each sum has the same bits on every machine.
#pragma once

namespace mistralrs {

constexpr int kRowBlock = 128;

// maxima[i] = the largest of logits[128 i .. 128 i + 127], -infinity if there is none; NaN is skipped.
void blockMaxima(const float* logits, int blocks, float* maxima);

// sums[i] = the sum of exp((logit - max) * scale) over block i, where no logit is above max; NaN if one is NaN.
void blockSums(const float* logits, int blocks, float max, float scale, double* sums);

// masses[i] = exp((logits[i] - max) * scale), exactly the terms of blockSums, for one block.
void blockMasses(const float* logits, float max, float scale, float* masses);

}  // namespace mistralrs
