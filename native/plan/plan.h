// The plan as data (docs/plan.md): what native/plan parses and validates and what every backend executes.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace mistralrs {

constexpr int kPlanVersion = 1;

enum class RowSymbol : uint8_t { kTokens, kLogitRows };

struct Buffer {
  std::string name;
  RowSymbol rows;
  int64_t width;  // floats per row
  int64_t at;     // float offset per row in the arena of `rows`: element (r, c) is arena[at * numRows + r * width + c]
};

// Columns [column, column + width) of a buffer; buffer < 0 is "none".
struct View {
  int buffer = -1;
  int64_t column = 0;
  int64_t width = 0;
  explicit operator bool() const { return buffer >= 0; }
  bool operator==(const View&) const = default;
};

struct KvGroup {
  int window = 0;  // 0: full attention
  int kvHeads = 0;
  int headDim = 0;
  int layers = 0;
  int pageTokens = 0;
};

struct RopeTable {
  int dim = 0;
  float factor = 1;
  std::vector<float> invFreq;  // [dim / 2]
};

struct WeightDecl {
  std::string name;
  int64_t rows = 0, cols = 0;
};

enum class OpKind : uint8_t {
  kEmbed, kLinear, kGatedLinear, kRmsNorm, kRope, kNormRope, kKvWrite, kAttention,
  kAdd, kScale, kActMul, kSoftcap, kSelectRows, kMeanRows,
};

enum class Act : uint8_t { kSilu, kGeluTanh };

// RMSNorm by a weight, or without one ("one").
struct Norm {
  bool present = false;
  int weight = -1;  // -1: without weight
  float eps = 0;
  float offset = 0;
};

// One op; which fields are set depends on the kind, in the vocabulary of docs/plan.md.
struct Op {
  OpKind kind;
  View in;        // embed: none; add: a; act_mul: gate; kv_write: k; attention: q
  View in2;       // add: b; act_mul: up; kv_write: v
  View out;
  View residual;
  std::vector<int> weights;  // linear: stacked; gated_linear: gate, up; embed, scale: one
  std::vector<int> biases;   // linear: empty, or one per weight with -1 for none
  Norm norm;                 // rms_norm, norm_rope, and the prologue of linear ops
  int scaleWeight = -1;      // rms_norm: w[0] multiplies the result
  Act act = Act::kSilu;
  int rope = -1;
  int heads = 0;
  int group = -1, layer = -1;
  bool causal = true;  // attention: false sees later keys of its sequence too
  float scale = 1, softcap = 0;
  int line = 0;  // in the plan's text, for errors
};

struct Plan {
  int64_t vocab = 0;
  std::vector<KvGroup> groups;
  std::vector<RopeTable> ropes;
  std::vector<WeightDecl> weights;
  std::vector<Buffer> buffers;
  std::vector<Op> ops;
  int logits = -1;                       // buffer of the result
  bool sampled = true;                   // false: the result is a hidden state, not logits over the vocabulary
  bool wholeSequences = false;           // some op needs all tokens of a sequence in one batch
  int64_t arenaWidth[2] = {0, 0};        // floats per row of each arena, by RowSymbol
};

}  // namespace mistralrs
