#include "cuda/row_ops.h"

#include "plan/error.h"

namespace mistralrs::cuda {

RowOps::RowOps(const Plan& plan, const PreparedWeights& weights, const Device& device, int maxTokens) : weights_(weights), device_(device) {
  for (const RopeTable& rope : plan.ropes) {
    const DeviceMemory& invFreq = invFreqs_.emplace_back(device, static_cast<int64_t>(rope.invFreq.size()) * 4, "rope frequencies");
    if (invFreq.bytes()) device.copy(invFreq.data(), rope.invFreq.data(), invFreq.bytes());
    tables_.emplace_back(device, int64_t{maxTokens} * rope.dim * 4, "rope tables");
  }
  device.synchronize();
}

void RowOps::fillRopes(const Step& step) const {
  for (size_t i = 0; i < tables_.size(); ++i) {
    const RopeTable& rope = step.plan.ropes[i];
    device_.check(device_.kernels().fillRope(invFreqs_[i].floats(), rope.dim, rope.factor, step.positions, step.numRows[0],
                                             tables_[i].floats(), device_.stream()),
                  "rope tables");
  }
}

void RowOps::run(const Op& op, const Step& step) const {
  const CudaKernelTable& kernels = device_.kernels();
  void* stream = device_.stream();
  const int rows = step.rows(op.out), width = static_cast<int>(op.out.width);
  if (rows == 0) return;
  const CudaRows in = step.at(op.in), in2 = step.at(op.in2), out = step.at(op.out);
  switch (op.kind) {
    case OpKind::kEmbed: {
      std::vector<CudaWeight> runs;
      std::vector<int32_t> firstRows;
      for (const WeightRun& run : weights_.embedding[op.weights[0]]) {
        runs.push_back(run.weight);
        firstRows.push_back(run.firstRow);
      }
      return device_.check(
          kernels.embed(runs.data(), firstRows.data(), static_cast<int32_t>(runs.size()), step.tokens, rows, op.scale, out, stream), "embed");
    }
    case OpKind::kAdd: return device_.check(kernels.add(in, in2, op.scale, rows, width, out, stream), "add");
    case OpKind::kScale: return device_.check(kernels.scale(in, vector(op.weights[0]), rows, width, out, stream), "scale");
    case OpKind::kActMul: return device_.check(kernels.actMul(in, in2, static_cast<int32_t>(op.act), rows, width, out, stream), "act_mul");
    case OpKind::kSoftcap: return device_.check(kernels.softcap(in, op.softcap, rows, width, out, stream), "softcap");
    case OpKind::kSelectRows: return device_.check(kernels.selectRows(in, step.logitRows, rows, width, out, stream), "select_rows");
    case OpKind::kMeanRows:
      return device_.check(kernels.meanRows(in, step.logitRows, step.sequenceOf, step.queryStart, rows, width, out, stream), "mean_rows");
    case OpKind::kRmsNorm:
      return device_.check(kernels.rmsNorm(in, vector(op.norm.weight), op.norm.eps, op.norm.offset, op.heads, width / op.heads, step.at(op.residual),
                                           vector(op.scaleWeight), rows, out, stream),
                           "rms_norm");
    case OpKind::kRope:
    case OpKind::kNormRope:
      return device_.check(kernels.normRope(in, vector(op.norm.weight), op.norm.present ? op.norm.eps : 0, op.norm.offset, op.heads, width / op.heads,
                                            tables_[op.rope].floats(), step.plan.ropes[op.rope].dim, rows, out, stream),
                           op.kind == OpKind::kRope ? "rope" : "norm_rope");
    default: throw Error("invalid_plan", format("backend cuda: op %d of the plan is not supported", static_cast<int>(op.kind)));
  }
}

}  // namespace mistralrs::cuda
