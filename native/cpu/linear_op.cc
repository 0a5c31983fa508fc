#include "cpu/linear_op.h"

#include <algorithm>

namespace mistralrs {
namespace {

// Up to here each thread prepares all activations itself (about a microsecond) rather than wait for the others.
constexpr int64_t kOwnFloats = 8192;
// Results waiting for bias, residual or activation: half of a 512 KB second-level cache.
constexpr int64_t kOutFloats = 1 << 16;
constexpr int kChunkedRows = 32;     // from here a panel is worth more than the atomic that hands it out
constexpr int kChunksPerThread = 6;

int64_t roundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

}  // namespace

LinearOp::LinearOp(const Plan& plan, const Op& op, const PreparedWeights& weights, const KernelTable& kernels, int threads) : op_(op) {
  if (op.norm.present && op.norm.weight >= 0) normWeight_ = weights.vectors[op.norm.weight].data();
  std::vector<Piece> pieces;
  int64_t column = 0;
  if (op.kind == OpKind::kGatedLinear) {
    for (const PanelRun& gate : weights.panels[op.weights[0]])
      for (const PanelRun& up : weights.panels[op.weights[1]]) {
        const int gateFirst = static_cast<int>(gate.rowBegin / kPanelRows), upFirst = static_cast<int>(up.rowBegin / kPanelRows);
        const int begin = std::max(gateFirst, upFirst), end = std::min(gateFirst + gate.panels(), upFirst + up.panels());
        if (begin < end) pieces.push_back({&gate, &up, begin - gateFirst, end - gateFirst, gateFirst - upFirst, gate.rowBegin, nullptr});
      }
  } else {
    for (size_t i = 0; i < op.weights.size(); ++i) {
      const int bias = op.biases.empty() ? -1 : op.biases[i];
      for (const PanelRun& run : weights.panels[op.weights[i]])
        pieces.push_back({&run, nullptr, 0, run.panels(), 0, column + run.rowBegin,
                          bias < 0 ? nullptr : weights.vectors[bias].data() + run.rowBegin});
      column += plan.weights[op.weights[i]].rows;
    }
  }
  for (const Piece& piece : pieces)
    for (const PanelRun* run : {piece.run, piece.up})
      if (run) (kernels.usesQuantRows(run->packed.type) ? needsQuant_ : needsFloats_) = true;
  pieces_ = split(pieces, threads);
  chunks_ = split(pieces, threads * kChunksPerThread);
}

// Contiguous panels for each part; equal bytes, as far as panels allow.
std::vector<std::vector<LinearOp::Piece>> LinearOp::split(const std::vector<Piece>& pieces, int parts) {
  std::vector<std::vector<Piece>> result(parts);
  const auto panelBytes = [](const Piece& piece) { return piece.run->packed.panelBytes + (piece.up ? piece.up->packed.panelBytes : 0); };
  int64_t total = 0, before = 0;
  for (const Piece& piece : pieces) total += panelBytes(piece) * (piece.panelEnd - piece.panelBegin);
  for (const Piece& piece : pieces)
    for (int panel = piece.panelBegin; panel < piece.panelEnd; ++panel) {
      const int64_t bytes = panelBytes(piece);
      std::vector<Piece>& mine = result[(before + bytes / 2) * parts / total];
      before += bytes;
      if (!mine.empty() && mine.back().run == piece.run && mine.back().up == piece.up && mine.back().panelEnd == panel) {
        ++mine.back().panelEnd;
      } else {
        mine.push_back(piece);
        mine.back().panelBegin = panel;
        mine.back().panelEnd = panel + 1;
      }
    }
  return result;
}

LinearOp::Inputs LinearOp::prepare(const Step& step, int thread, ThreadPool& pool, const LinearScratch& scratch) const {
  const Rows in = step.at(op_.in);
  const int64_t rows = step.rows(op_.in), cols = op_.in.width;
  Inputs inputs{{nullptr, static_cast<int32_t>(rows), static_cast<int32_t>(cols)}, {in.data, in.stride}};
  if (!needsQuant_ && !op_.norm.present) return inputs;
  const bool alone = rows * cols <= kOwnFloats || step.threads == 1;
  const LinearScratch::Inputs& to = alone && rows * cols <= kOwnFloats ? scratch.own_[thread].inputs : scratch.shared_;
  inputs.quant.data = to.quant;
  if (op_.norm.present && needsFloats_) inputs.floats = {to.floats, cols};
  const Range mine = alone ? Range{0, rows} : share(rows, thread, step.threads);
  for (int64_t row = mine.begin; row < mine.end; ++row) {
    const float* x = in.row(row);
    if (op_.norm.present) {
      float* normed = needsFloats_ ? to.floats + row * cols : scratch.own_[thread].row;
      step.kernels.rmsNorm(x, normWeight_, cols, op_.norm.eps, op_.norm.offset, normed);
      x = normed;
    }
    if (needsQuant_) step.kernels.quantizeRow(x, &inputs.quant, static_cast<int32_t>(row));
  }
  if (!alone) pool.barrier();
  return inputs;
}

void LinearOp::multiply(const Step& step, const Inputs& inputs, const PanelRun& run, int panelBegin, int panelEnd, float* out,
                        int64_t stride) const {
  if (step.kernels.usesQuantRows(run.packed.type))
    step.kernels.linearQuant(&run.packed, &inputs.quant, panelBegin, panelEnd, out, stride);
  else
    step.kernels.linearFloat(&run.packed, &inputs.floats, inputs.quant.rows, panelBegin, panelEnd, out, stride);
}

void LinearOp::runPiece(const Step& step, const Inputs& inputs, const Piece& piece, float* scratch, int64_t scratchFloats) const {
  const Rows out = step.at(op_.out);
  const int64_t rows = inputs.quant.rows;
  if (!piece.up && !piece.bias && !op_.residual)
    return multiply(step, inputs, *piece.run, piece.panelBegin, piece.panelEnd, out.data + piece.column, out.stride);

  const int step16 = static_cast<int>(std::max<int64_t>(1, scratchFloats / (rows * kPanelRows)));
  for (int panel = piece.panelBegin; panel < piece.panelEnd; panel += step16) {
    const int end = std::min(piece.panelEnd, panel + step16);
    const int64_t first = int64_t{panel} * kPanelRows, count = std::min<int64_t>(piece.run->packed.rows, int64_t{end} * kPanelRows) - first;
    const int64_t column = piece.column + first, stride = int64_t{end - panel} * kPanelRows;
    if (piece.up) {
      multiply(step, inputs, *piece.run, panel, end, out.data + piece.column, out.stride);
      multiply(step, inputs, *piece.up, panel + piece.upOffset, end + piece.upOffset,
               scratch - int64_t{panel + piece.upOffset} * kPanelRows, stride);
      for (int64_t row = 0; row < rows; ++row) {
        float* gate = out.row(row) + column;
        step.kernels.actMul(gate, scratch + row * stride, static_cast<int32_t>(op_.act), count, gate);
      }
      continue;
    }
    multiply(step, inputs, *piece.run, panel, end, scratch - first, stride);
    for (int64_t row = 0; row < rows; ++row) {
      float *x = scratch + row * stride, *to = out.row(row) + column;
      if (piece.bias) step.kernels.addScaled(x, piece.bias + first, 1, count, op_.residual ? x : to);
      if (op_.residual) step.kernels.addScaled(x, step.at(op_.residual).row(row) + column, 1, count, to);
    }
  }
}

void LinearOp::run(const Step& step, int thread, ThreadPool& pool, const LinearScratch& scratch, std::atomic<int>& taken) const {
  const int rows = step.rows(op_.in);
  if (rows == 0) return;
  const Inputs inputs = prepare(step, thread, pool, scratch);
  const auto runAll = [&](const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces) runPiece(step, inputs, piece, scratch.own_[thread].out, scratch.outFloats_);
  };
  if (rows < kChunkedRows || step.threads == 1) return runAll(pieces_[thread]);
  const int count = static_cast<int>(chunks_.size());
  for (int i; (i = taken.fetch_add(1, std::memory_order_relaxed)) < count;) runAll(chunks_[i]);
}

LinearScratch::LinearScratch(const Plan& plan, const std::vector<LinearOp>& ops, const KernelTable& kernels, int threads, int maxRows)
    : own_(threads) {
  int64_t sharedQuant = 0, sharedFloats = 0, ownQuant = 0, widest = 0;
  for (const LinearOp& op : ops) {
    const int cols = static_cast<int>(op.op_.in.width), ownRows = static_cast<int>(std::min<int64_t>(maxRows, kOwnFloats / cols));
    widest = std::max<int64_t>(widest, cols);
    if (op.needsQuant_) {
      sharedQuant = std::max(sharedQuant, kernels.quantRowsBytes(maxRows, cols));
      if (ownRows) ownQuant = std::max(ownQuant, kernels.quantRowsBytes(ownRows, cols));
    }
    if (op.needsFloats_ && op.op_.norm.present) sharedFloats = std::max(sharedFloats, int64_t{maxRows} * cols);
  }
  // A buffer of one panel at least, and for one row all the results a thread may have.
  int64_t widestOut = 0;
  for (const Buffer& buffer : plan.buffers) widestOut = std::max(widestOut, buffer.width);
  outFloats_ = std::max({kOutFloats, int64_t{maxRows} * kPanelRows, roundUp(widestOut, kPanelRows)});

  int64_t used = 0;
  const auto take = [&](int64_t bytes) {
    uint8_t* part = memory_.data() ? memory_.data() + used : nullptr;  // the first time only counts
    used += roundUp(bytes, 4096);                                      // no two threads share a line or a page
    return part;
  };
  const auto layOut = [&] {
    shared_ = {take(sharedQuant), reinterpret_cast<float*>(take(sharedFloats * 4))};
    for (Own& own : own_)
      own = {{take(ownQuant), reinterpret_cast<float*>(take(kOwnFloats * 4))}, reinterpret_cast<float*>(take(widest * 4)),
             reinterpret_cast<float*>(take(outFloats_ * 4))};
  };
  layOut();
  memory_ = Memory(used, "activations");
  used = 0;
  layOut();
}

}  // namespace mistralrs
