#include "cuda/fused_qkv.h"

namespace mistralrs::cuda {
namespace {

bool isRope(const Op& op) { return op.kind == OpKind::kRope || op.kind == OpKind::kNormRope; }

bool isPlainNorm(const Op& op) { return op.kind == OpKind::kRmsNorm && !op.residual && op.scaleWeight < 0; }

bool overlap(const View& a, const View& b) {
  return a.buffer == b.buffer && a.column < b.column + b.width && b.column < a.column + a.width;
}

}  // namespace

std::optional<QkvRun> findQkvRun(const Plan& plan, int first) {
  const auto op = [&](int i) -> const Op* { return i < static_cast<int>(plan.ops.size()) ? &plan.ops[i] : nullptr; };
  const Op *query = op(first), *key = op(first + 1), *third = op(first + 2);
  if (!query || !key || !third || !isRope(*query) || !isRope(*key)) return std::nullopt;
  const bool hasNorm = isPlainNorm(*third);
  const QkvRun run{first, first + 1, hasNorm ? first + 2 : -1, first + (hasNorm ? 3 : 2)};
  const Op* write = op(run.write);
  if (!write || write->kind != OpKind::kKvWrite || !(write->in == key->out)) return std::nullopt;
  const View& valuesIn = hasNorm ? third->in : write->in2;
  if (hasNorm && !(write->in2 == third->out)) return std::nullopt;
  const KvGroup& group = plan.groups[write->group];
  const auto hasHeads = [&](const Op& op, int heads) { return op.heads == heads && op.out.width == int64_t{heads} * group.headDim; };
  if (!hasHeads(*query, query->heads) || !hasHeads(*key, group.kvHeads) || (hasNorm && !hasHeads(*third, group.kvHeads))) return std::nullopt;
  // Blocks run at once: none may write what another reads.
  if (overlap(query->out, key->in) || overlap(query->out, valuesIn)) return std::nullopt;
  if (overlap(key->out, query->in) || overlap(key->out, valuesIn)) return std::nullopt;
  if (hasNorm && (overlap(third->out, query->in) || overlap(third->out, key->in))) return std::nullopt;
  return run;
}

void launchQkvRun(const QkvRun& run, const Step& step, const StepInputs& inputs, const PreparedWeights& weights, const RowOps& rowOps,
                  const AttentionOps& attentionOps) {
  const std::vector<Op>& ops = step.plan.ops;
  const auto heads = [&](const Op& op) {
    const Norm& norm = op.norm;
    const float* weight = norm.present && norm.weight >= 0 ? weights.vectors[norm.weight] : nullptr;
    return CudaHeads{step.at(op.in), step.at(op.out), weight, norm.present ? norm.eps : 0, norm.offset, op.heads};
  };
  const Op &query = ops[run.query], &key = ops[run.key], &write = ops[run.write];
  const CudaRows values = step.at(write.in2);
  CudaQkv qkv{};
  qkv.q = heads(query);
  qkv.k = heads(key);
  qkv.kv = attentionOps.view(write.group, write.layer, inputs);
  qkv.v = run.valueNorm < 0 ? CudaHeads{values, values, nullptr, 0, 0, qkv.kv.kvHeads} : heads(ops[run.valueNorm]);
  qkv.qTable = rowOps.table(query.rope);
  qkv.kTable = rowOps.table(key.rope);
  qkv.qDim = step.plan.ropes[query.rope].dim;
  qkv.kDim = step.plan.ropes[key.rope].dim;
  qkv.positions = step.positions;
  qkv.sequenceOf = step.sequenceOf;
  qkv.tokens = step.rows(write.in);
  step.device.check(step.device.kernels().storeQkv(&qkv, step.device.stream()), "norm, rope and kv_write");
}

}  // namespace mistralrs::cuda
