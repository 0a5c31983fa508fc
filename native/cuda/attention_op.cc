#include "cuda/attention_op.h"

#include <algorithm>

namespace mistralrs::cuda {

bool AttentionOps::isOf(const Work& work, const Op& op, const Plan& plan) {
  return work.group == op.group && work.groupHeads == op.heads / plan.groups[op.group].kvHeads && work.causal == op.causal;
}

std::vector<AttentionOps::Work> AttentionOps::worksOf(const Plan& plan) {
  std::vector<Work> works;
  for (const Op& op : plan.ops) {
    if (op.kind != OpKind::kAttention) continue;
    const auto same = [&](const Work& work) { return isOf(work, op, plan); };
    if (std::none_of(works.begin(), works.end(), same)) works.push_back({op.group, op.heads / plan.groups[op.group].kvHeads, op.causal, false});
  }
  return works;
}

int AttentionOps::numRegions(const Plan& plan) { return 2 * static_cast<int>(plan.groups.size()) + 3 * static_cast<int>(worksOf(plan).size()); }

AttentionOps::AttentionOps(const Plan& plan, const Device& device, const BackendOptions& options, uint8_t* pool, int firstRegion)
    : plan_(plan), device_(device), pageBytes_(options.pageBytes), f16_(options.kvType == KvType::kF16), pool_(pool),
      firstRegion_(firstRegion), works_(worksOf(plan)), workOf_(plan.ops.size(), -1) {
  for (Work& work : works_) work.hasTiles = device.kernels().hasTiles(f16_, plan.groups[work.group].headDim) != 0;
  for (size_t i = 0; i < plan.ops.size(); ++i) {
    const Op& op = plan.ops[i];
    if (op.kind != OpKind::kAttention) continue;
    const auto same = [&](const Work& work) { return isOf(work, op, plan); };
    workOf_[i] = static_cast<int>(std::find_if(works_.begin(), works_.end(), same) - works_.begin());
  }
}

bool AttentionOps::plan(const Batch& batch, StepInputs& inputs) {
  for (size_t i = 0; i < plan_.groups.size(); ++i) {
    inputs.region(pageStartRegion(static_cast<int>(i))) = batch.pageTables[i].start;
    inputs.region(pageStartRegion(static_cast<int>(i)) + 1) = batch.pageTables[i].pages;
  }
  int64_t floats = 0;
  for (size_t i = 0; i < works_.size(); ++i) {
    Work& work = works_[i];
    if (!work.hasTiles) continue;
    const KvGroup& group = plan_.groups[work.group];
    const AttentionPlan blocks = planAttention(batch, group, work.groupHeads, work.causal, device_.info().multiprocessors);
    const int region = workRegion(static_cast<int>(i));
    inputs.set(region, blocks.wide);
    inputs.set(region + 1, blocks.narrow);
    inputs.set(region + 2, blocks.merges);
    work.numWide = static_cast<int>(blocks.wide.size());
    work.numNarrow = static_cast<int>(blocks.narrow.size());
    work.numMerges = static_cast<int>(blocks.merges.size());
    work.mergeRows = blocks.mergeRows;
    floats = std::max(floats, int64_t{blocks.numPartials} * group.kvHeads * device_.kernels().attentionPartialFloats(group.headDim));
  }
  if (floats * 4 <= partials_.bytes()) return false;
  partials_ = DeviceMemory(device_, floats * 4, "attention partials");
  return true;
}

CudaKvView AttentionOps::view(int groupIndex, int layer, const StepInputs& inputs) const {
  const KvGroup& group = plan_.groups[groupIndex];
  const int64_t layerBytes = int64_t{group.pageTokens} * group.kvHeads * group.headDim * 2 * (f16_ ? 2 : 4);
  const int region = pageStartRegion(groupIndex);
  return {pool_,      inputs.at(region), inputs.at(region + 1), pageBytes_, layer * layerBytes, group.pageTokens, group.kvHeads,
          group.headDim, f16_};
}

void AttentionOps::write(const Op& op, const Step& step, const StepInputs& inputs) const {
  const CudaKvView kv = view(op.group, op.layer, inputs);
  const int32_t error = device_.kernels().kvWrite(&kv, step.at(op.in), step.at(op.in2), step.positions, step.sequenceOf, step.rows(op.in),
                                                  device_.stream());
  device_.check(error, "kv_write");
}

void AttentionOps::attend(const Op& op, int opIndex, const Step& step, const StepInputs& inputs) const {
  const CudaKernelTable& kernels = device_.kernels();
  const int index = workOf_[opIndex];
  const Work& work = works_[index];
  CudaAttention attention{};
  attention.kv = view(op.group, op.layer, inputs);
  attention.q = step.at(op.in);
  attention.out = step.at(op.out);
  attention.positions = step.positions;
  attention.sequenceOf = step.sequenceOf;
  attention.tokens = step.rows(op.in);
  attention.groupHeads = work.groupHeads;
  attention.kvLength = step.kvLength;
  attention.window = plan_.groups[op.group].window;
  attention.ahead = keysAhead(plan_.groups[op.group], op.causal);
  attention.scale = op.scale;
  attention.softcap = op.softcap;
  if (!work.hasTiles || !(op.scale > 0)) return device_.check(kernels.attentionRows(&attention, device_.stream()), "attention");
  const int region = workRegion(index);
  if (work.numWide > 0) {
    attention.items = inputs.at<CudaAttentionItem>(region);
    attention.numItems = work.numWide;
    attention.warps = 4;
    device_.check(kernels.attentionTiles(&attention, device_.stream()), "attention of prompts");
  }
  if (work.numNarrow > 0) {
    attention.items = inputs.at<CudaAttentionItem>(region + 1);
    attention.numItems = work.numNarrow;
    attention.warps = 1;
    attention.merges = inputs.at<CudaAttentionMerge>(region + 2);
    attention.numMerges = work.numMerges;
    attention.mergeRows = work.mergeRows;
    attention.partials = partials_.floats();
    device_.check(kernels.attentionTiles(&attention, device_.stream()), "attention of single tokens");
  }
}

}  // namespace mistralrs::cuda
