// linear and gated_linear: panels of weight rows shared out among the threads, activations normed and quantized once.
// Few rows (decoding): each thread has contiguous panels of equal bytes, to stream through. Many rows (prefill): threads take
// chunks as they get free, so that a core that is slower or also runs the event loop does not hold up the others.
#pragma once
#include <atomic>
#include <vector>

#include "cpu/memory.h"
#include "cpu/prepared_weights.h"
#include "cpu/step.h"
#include "cpu/thread_pool.h"

namespace mistralrs {

class LinearOp;

// Buffers all linear ops share: prepared activations of a whole batch, and each thread's own.
class LinearScratch {
 public:
  LinearScratch(const Plan& plan, const std::vector<LinearOp>& ops, const KernelTable& kernels, int threads, int maxRows);

 private:
  friend class LinearOp;
  struct Inputs {
    uint8_t* quant;
    float* floats;
  };
  Memory memory_;
  Inputs shared_{};
  struct Own {
    Inputs inputs;  // of a small batch
    float* row;     // [widest input]
    float* out;     // [outFloats_], results before bias, residual or activation
  };
  std::vector<Own> own_;
  int64_t outFloats_ = 0;
};

class LinearOp {
 public:
  LinearOp(const Plan& plan, const Op& op, const PreparedWeights& weights, const KernelTable& kernels, int threads);

  // This thread's share. All threads must call: a large batch's activations are prepared together, with a barrier.
  // `taken` counts chunks taken and begins at 0.
  void run(const Step& step, int thread, ThreadPool& pool, const LinearScratch& scratch, std::atomic<int>& taken) const;

 private:
  friend class LinearScratch;
  // Panels of one run of one weight, for gated ops with the panels of the same rows of `up`.
  struct Piece {
    const PanelRun* run;
    const PanelRun* up;
    int panelBegin, panelEnd;
    int upOffset;       // panel of `up` = panel of `run` + upOffset
    int64_t column;     // where the run's row 0 goes
    const float* bias;  // of the run's row 0, or null
  };
  struct Inputs {
    QuantRows quant;
    FloatRows floats;
  };
  Inputs prepare(const Step& step, int thread, ThreadPool& pool, const LinearScratch& scratch) const;
  void multiply(const Step& step, const Inputs& inputs, const PanelRun& run, int panelBegin, int panelEnd, float* out, int64_t stride) const;
  void runPiece(const Step& step, const Inputs& inputs, const Piece& piece, float* scratch, int64_t scratchFloats) const;
  static std::vector<std::vector<Piece>> split(const std::vector<Piece>& pieces, int parts);

  const Op& op_;
  const float* normWeight_ = nullptr;
  bool needsQuant_ = false, needsFloats_ = false;
  std::vector<std::vector<Piece>> pieces_;  // by thread
  std::vector<std::vector<Piece>> chunks_;
};

}  // namespace mistralrs
