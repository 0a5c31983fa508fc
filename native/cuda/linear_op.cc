#include "cuda/linear_op.h"

#include <algorithm>

#include "cuda/linear_shape.h"

namespace mistralrs::cuda {
namespace {

constexpr int kMostWarps = 16;
constexpr int32_t kF32 = static_cast<int32_t>(DType::kF32);

}  // namespace

LinearOp::LinearOp(const Plan& plan, const Op& op, const PreparedWeights& weights, const Device& device) : op_(op), device_(device) {
  if (op.norm.present && op.norm.weight >= 0) normWeight_ = weights.vectors[op.norm.weight];
  if (op.kind == OpKind::kGatedLinear) {
    const std::vector<WeightRun>&gate = weights.linear[op.weights[0]], &up = weights.linear[op.weights[1]];
    addSegments(gate, nullptr, 0, launches_);
    fused_ = gate.size() == 1 && up.size() == 1 && gate[0].weight.type == up[0].weight.type && gate[0].weight.type != kF32;
    addSegments(up, nullptr, 0, fused_ ? launches_ : up_);
    return;
  }
  int64_t column = 0;
  for (size_t i = 0; i < op.weights.size(); ++i) {
    const float* bias = op.biases.empty() || op.biases[i] < 0 ? nullptr : weights.vectors[op.biases[i]];
    addSegments(weights.linear[op.weights[i]], bias, column, launches_);
    column += plan.weights[op.weights[i]].rows;
  }
}

// Runs of one type share launches, wherever their columns lie.
void LinearOp::addSegments(const std::vector<WeightRun>& runs, const float* bias, int64_t column, std::vector<Launch>& launches) {
  for (const WeightRun& run : runs) {
    const auto fits = [&](const Launch& l) { return l.type == run.weight.type && l.segments.size() < kCudaMaxSegments; };
    auto to = std::find_if(launches.begin(), launches.end(), fits);
    if (to == launches.end()) to = launches.insert(to, Launch{run.weight.type, {}});
    to->segments.push_back({run.weight, bias ? bias + run.firstRow : nullptr, static_cast<int32_t>(column + run.firstRow)});
  }
}

bool LinearOp::hasType(bool f32) const {
  const auto is = [&](const Launch& launch) { return (launch.type == kF32) == f32; };
  return std::any_of(launches_.begin(), launches_.end(), is) || std::any_of(up_.begin(), up_.end(), is);
}

bool LinearOp::takesAlong(int rows) const {
  CudaOperand operand{};
  operand.tokens = rows;
  operand.cols = static_cast<int32_t>(op_.in.width);
  const auto isBetterApart = [&](const Launch& launch) {
    if (device_.kernels().hasStream(&operand, launch.type)) return rows > 1;
    return device_.kernels().hasOwnOperand(&operand, kMostWarps) != 0;
  };
  return std::none_of(launches_.begin(), launches_.end(), isBetterApart) && std::none_of(up_.begin(), up_.end(), isBetterApart);
}

void LinearOp::addNeeds(int rows, Needs& needs) const {
  if (hasType(false)) needs.prepared = std::max(needs.prepared, device_.kernels().preparedBytes(rows, op_.in.width));
  if (hasType(true) && op_.norm.present) needs.normed = std::max(needs.normed, rows * op_.in.width * 4);
  if (op_.kind == OpKind::kGatedLinear && !fused_) needs.gate = std::max(needs.gate, rows * op_.out.width * 4);
}

void LinearOp::run(const Step& step, const LinearScratch& scratch) const {
  CudaOperand operand{};
  operand.in = step.at(op_.in);
  run(step, scratch, operand);
}

void LinearOp::run(const Step& step, const LinearScratch& scratch, CudaOperand operand) const {
  const CudaKernelTable& kernels = device_.kernels();
  const int rows = step.rows(op_.out);
  if (rows == 0) return;
  operand.tokens = rows;
  operand.cols = static_cast<int32_t>(op_.in.width);
  operand.normWeight = normWeight_;
  operand.eps = op_.norm.present ? op_.norm.eps : 0;
  operand.offset = op_.norm.offset;
  CudaLinear common{};
  common.tokens = rows;
  common.cols = operand.cols;
  common.act = static_cast<int32_t>(op_.act);
  common.out = step.at(op_.out);
  common.residual = step.at(op_.residual);
  common.gated = fused_;
  if (op_.kind == OpKind::kLinear || fused_) return runAll(launches_, common, operand, scratch);
  const CudaRows gate{scratch.gate.floats(), op_.out.width}, up{scratch.up.floats(), op_.out.width};
  common.out = gate;
  runAll(launches_, common, operand, scratch);
  common.out = up;
  runAll(up_, common, operand, scratch);
  device_.check(kernels.actMul(gate, up, common.act, rows, static_cast<int32_t>(op_.out.width), step.at(op_.out), device_.stream()), "act_mul");
}

void LinearOp::runAll(const std::vector<Launch>& launches, CudaLinear common, const CudaOperand& operand, const LinearScratch& scratch) const {
  const CudaKernelTable& kernels = device_.kernels();
  int64_t rowBlocks = 0;
  for (const Launch& each : launches)
    for (const CudaSegment& segment : each.segments) rowBlocks += largeRowBlocks(segment.weight.rows, common.gated);
  common.tokenTile = largeTile(common.tokens, common.gated ? rowBlocks / 2 : rowBlocks, device_.info().multiprocessors, device_.hasLarge());
  common.x = scratch.prepared.data();
  common.xScale = scratch.scales.floats();
  common.operand = operand;
  const auto needsRows = [&](const Launch& launch) {
    return launch.type != kF32 && !(common.tokenTile == 0 && (kernels.hasStream(&operand, launch.type) || hasOwnOperand(launch, common)));
  };
  if (std::any_of(launches.begin(), launches.end(), needsRows))
    device_.check(kernels.prepareRows(&operand, common.tokenTile, scratch.prepared.data(), scratch.scales.floats(), device_.stream()),
                  "preparing the operand of linear");
  for (const Launch& each : launches) launch(each, common, operand, scratch);
}

int LinearOp::warpsOf(const Launch& launch, const CudaLinear& common) const {
  int64_t panels = 0;
  for (const CudaSegment& segment : launch.segments) panels += (segment.weight.rows + kCudaPanelRows - 1) / kCudaPanelRows;
  const int sides = common.gated ? 2 : 1;
  const int warps = smallWarps(panels / sides, common.cols, common.tokens, device_.info().multiprocessors, sides);
  // More, if then the block can prepare its operand: a launch less.
  const bool helps = !device_.kernels().hasOwnOperand(&common.operand, warps) && device_.kernels().hasOwnOperand(&common.operand, kMostWarps);
  return helps ? kMostWarps : warps;
}

bool LinearOp::hasOwnOperand(const Launch& launch, const CudaLinear& common) const {
  return device_.kernels().hasOwnOperand(&common.operand, warpsOf(launch, common)) != 0;
}

void LinearOp::launch(const Launch& launch, const CudaLinear& common, const CudaOperand& operand, const LinearScratch& scratch) const {
  const CudaKernelTable& kernels = device_.kernels();
  CudaLinear linear = common;
  linear.numSegments = static_cast<int32_t>(launch.segments.size());
  std::copy(launch.segments.begin(), launch.segments.end(), linear.segments);
  if (launch.type == kF32) {
    CudaRows in = operand.in;
    if (operand.eps > 0) {
      in = {scratch.normed.floats(), operand.cols};
      device_.check(kernels.rmsNorm(operand.in, operand.normWeight, operand.eps, operand.offset, 1, operand.cols, {}, nullptr, operand.tokens, in,
                                    device_.stream()),
                    "norm of linear");
    }
    return device_.check(kernels.linearF32(&linear, in, device_.stream()), "linear F32");
  }
  if (linear.tokenTile) return device_.check(kernels.linearLarge(&linear, device_.stream()), "linear of many tokens");
  if (kernels.hasStream(&operand, launch.type)) return device_.check(kernels.linearStream(&linear, device_.stream()), "linear of single tokens");
  linear.warps = warpsOf(launch, linear);
  linear.ownOperand = hasOwnOperand(launch, linear);
  device_.check(kernels.linearSmall(&linear, device_.stream()), "linear of few tokens");
}

}  // namespace mistralrs::cuda
