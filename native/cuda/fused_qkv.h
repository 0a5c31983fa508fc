// Runs of ops that one launch takes: norm_rope or rope of q and of k, rms_norm of v if there is one, and kv_write.
#pragma once
#include <optional>

#include "cuda/attention_op.h"
#include "cuda/prepared_weights.h"
#include "cuda/row_ops.h"
#include "cuda/step.h"

namespace mistralrs::cuda {

// Indices of the ops of such a run; `valueNorm` < 0 is none.
struct QkvRun {
  int query, key, valueNorm, write;
};

// The run that begins with op `first`, if there is one.
std::optional<QkvRun> findQkvRun(const Plan& plan, int first);

void launchQkvRun(const QkvRun& run, const Step& step, const StepInputs& inputs, const PreparedWeights& weights, const RowOps& rowOps,
                  const AttentionOps& attentionOps);

}  // namespace mistralrs::cuda
