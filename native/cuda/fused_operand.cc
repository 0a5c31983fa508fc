#include "cuda/fused_operand.h"

#include <algorithm>

namespace mistralrs::cuda {
namespace {

bool isLinear(const Op& op) { return op.kind == OpKind::kLinear || op.kind == OpKind::kGatedLinear; }

bool reads(const Op& op, int buffer) { return op.in.buffer == buffer || op.in2.buffer == buffer || op.residual.buffer == buffer; }

bool isWhole(const Plan& plan, const View& view) { return view.column == 0 && view.width == plan.buffers[view.buffer].width; }

bool shareMemory(const Plan& plan, const View& a, const View& b) {
  const Buffer &x = plan.buffers[a.buffer], &y = plan.buffers[b.buffer];
  return x.rows == y.rows && x.at < y.at + y.width && y.at < x.at + x.width;
}

bool isReadAfter(const Plan& plan, int op, int buffer) {
  const auto readsIt = [&](const Op& later) { return reads(later, buffer); };
  return plan.logits == buffer || std::any_of(plan.ops.begin() + op + 1, plan.ops.end(), readsIt);
}

// Norm of `in` onto a buffer of sums, in place.
bool isSum(const Plan& plan, const Op& op) {
  return op.kind == OpKind::kRmsNorm && op.heads == 1 && op.residual && op.residual == op.out && isWhole(plan, op.out) &&
         op.in.buffer != op.out.buffer;
}

// Where all of the op's work may move into the linear after it.
bool canJoin(const Plan& plan, const Op& producer, int linearIndex, int sumBuffer) {
  const Op& linear = plan.ops[linearIndex];
  if (!isLinear(linear) || !(linear.in == producer.out) || !isWhole(plan, producer.in)) return false;
  if (plan.buffers[linear.out.buffer].rows != RowSymbol::kTokens) return false;
  if (linear.residual.buffer == producer.out.buffer || linear.out.buffer == producer.out.buffer) return false;
  if (producer.kind != OpKind::kActMul) return isSum(plan, producer) && (sumBuffer < 0 || sumBuffer == producer.out.buffer);
  return producer.in == producer.out && producer.in2.buffer != producer.in.buffer && !shareMemory(plan, producer.in2, linear.out) &&
         !isReadAfter(plan, linearIndex, producer.out.buffer);
}

int firstWriter(const Plan& plan, int buffer) {
  const auto writes = [&](const Op& op) { return op.out.buffer == buffer; };
  return static_cast<int>(std::find_if(plan.ops.begin(), plan.ops.end(), writes) - plan.ops.begin());
}

}  // namespace

OperandRuns findOperandRuns(const Plan& plan, const std::function<bool(int op)>& prepares) {
  OperandRuns runs;
  runs.at.resize(plan.ops.size());
  std::vector<int> freeAfter;  // by region: the last op that reads it
  for (int i = 0; i + 1 < static_cast<int>(plan.ops.size()); ++i) {
    const Op& producer = plan.ops[i];
    const int linear = i + 1, buffer = producer.in.buffer;
    if ((producer.kind != OpKind::kRmsNorm && producer.kind != OpKind::kActMul) || !canJoin(plan, producer, linear, runs.sumBuffer)) continue;
    if (!prepares(linear) || isReadAfter(plan, linear, buffer)) continue;
    const int writer = firstWriter(plan, buffer);
    const auto region = std::find_if(freeAfter.begin(), freeAfter.end(), [&](int last) { return last < writer; });
    runs.at[i] = {i, linear, static_cast<int>(region - freeAfter.begin())};
    if (region == freeAfter.end()) freeAfter.push_back(linear);
    else *region = linear;
    runs.regionWidth = std::max(runs.regionWidth, plan.buffers[buffer].width);
    if (producer.kind == OpKind::kRmsNorm) runs.sumBuffer = producer.out.buffer;
  }
  runs.numRegions = static_cast<int>(freeAfter.size());
  return runs;
}

CudaOperand operandOf(const Op& producer, const Step& step, const PreparedWeights& weights) {
  CudaOperand operand{};
  operand.in = step.at(producer.in);
  if (producer.kind == OpKind::kActMul) {
    operand.up = step.at(producer.in2);
    operand.act = static_cast<int32_t>(producer.act);
    return operand;
  }
  const auto vector = [&](int weight) -> const float* { return weight < 0 ? nullptr : weights.vectors[weight]; };
  operand.residual = step.at(producer.residual);
  operand.innerWeight = vector(producer.norm.weight);
  operand.innerEps = producer.norm.eps;
  operand.innerOffset = producer.norm.offset;
  operand.factor = vector(producer.scaleWeight);
  return operand;
}

}  // namespace mistralrs::cuda
