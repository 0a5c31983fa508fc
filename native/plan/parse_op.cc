#include "plan/parse_op.h"

#include <iterator>
#include <limits>

namespace mistralrs {
namespace {

constexpr const char* kNames[] = {"embed",      "linear", "gated_linear", "rms_norm", "rope",    "norm_rope", "kv_write",
                                  "attention",  "add",    "scale",        "act_mul",  "softcap", "select_rows",
                                  "mean_rows"};
static_assert(std::size(kNames) == static_cast<size_t>(OpKind::kMeanRows) + 1, "one name for each OpKind, in its order");

constexpr int kMaxHeads = 1 << 16;

class OpParser {
 public:
  OpParser(const Plan& plan, OpKind kind, Fields& fields) : plan_(plan), fields_(fields) {
    op_.kind = kind;
    op_.line = fields.line();
  }

  Op parse() {
    switch (op_.kind) {
      case OpKind::kEmbed:
        op_.out = view("out");
        op_.weights = {weight("weight")};
        op_.scale = fields_.number("scale");
        break;
      case OpKind::kLinear:
        inOut();
        op_.weights = weights("weights");
        if (const auto biases = fields_.optional("biases")) op_.biases = biasList(*biases);
        if (const auto norm = fields_.optional("norm")) op_.norm = parseNorm("norm", *norm);
        op_.residual = residual();
        break;
      case OpKind::kGatedLinear:
        inOut();
        op_.weights = {weight("gate"), weight("up")};
        op_.act = act();
        if (const auto norm = fields_.optional("norm")) op_.norm = parseNorm("norm", *norm);
        break;
      case OpKind::kRmsNorm:
        inOut();
        op_.norm = parseNorm("weight", fields_.text("weight"));
        op_.heads = heads();
        op_.residual = residual();
        if (const auto scale = fields_.optional("scale")) op_.scaleWeight = weightId("scale", *scale);
        break;
      case OpKind::kNormRope:
        op_.norm = parseNorm("weight", fields_.text("weight"));
        [[fallthrough]];
      case OpKind::kRope:
        inOut();
        op_.rope = fields_.parseId("rope", fields_.text("rope"), 'r', plan_.ropes.size());
        op_.heads = heads();
        break;
      case OpKind::kKvWrite:
        op_.in = view("k");
        op_.in2 = view("v");
        groupAndLayer();
        break;
      case OpKind::kAttention:
        op_.in = view("q");
        op_.out = view("out");
        groupAndLayer();
        op_.heads = heads();
        op_.scale = fields_.number("scale");
        op_.softcap = fields_.number("softcap");
        if (const auto causal = fields_.optional("causal")) op_.causal = fields_.parseInteger("causal", *causal, 0, 1) == 1;
        break;
      case OpKind::kAdd:
        op_.in = view("a");
        op_.in2 = view("b");
        op_.out = view("out");
        op_.scale = fields_.number("scale");
        break;
      case OpKind::kScale:
        inOut();
        op_.weights = {weight("weight")};
        break;
      case OpKind::kActMul:
        op_.in = view("gate");
        op_.in2 = view("up");
        op_.out = view("out");
        op_.act = act();
        break;
      case OpKind::kSoftcap:
        inOut();
        op_.softcap = fields_.number("cap");
        break;
      case OpKind::kSelectRows:
      case OpKind::kMeanRows:
        inOut();
        break;
    }
    fields_.finish();
    return std::move(op_);
  }

 private:
  void inOut() {
    op_.in = view("in");
    op_.out = view("out");
  }

  View view(std::string_view key) { return parseView(key, fields_.text(key)); }

  View residual() {
    const auto text = fields_.optional("residual");
    return text && *text != "-" ? parseView("residual", *text) : View{};
  }

  // bN or bN[begin:end]
  View parseView(std::string_view key, std::string_view text) const {
    const size_t bracket = text.find('[');
    View view;
    view.buffer = fields_.parseId(key, text.substr(0, bracket), 'b', plan_.buffers.size());
    const int64_t bufferWidth = plan_.buffers[static_cast<size_t>(view.buffer)].width;
    if (bracket == std::string_view::npos) {
      view.width = bufferWidth;
      return view;
    }
    const std::string_view range = text.substr(bracket + 1);
    const size_t colon = range.find(':');
    if (colon == std::string_view::npos || range.back() != ']') fields_.fail(std::string(key) + " needs the form bN or bN[begin:end]");
    view.column = fields_.parseInteger(key, range.substr(0, colon), 0, bufferWidth - 1);
    const std::string_view end = range.substr(colon + 1, range.size() - colon - 2);
    view.width = fields_.parseInteger(key, end, view.column + 1, bufferWidth) - view.column;
    return view;
  }

  int weightId(std::string_view key, std::string_view text) const {
    return fields_.parseId(key, text, 'w', plan_.weights.size());
  }

  int weight(std::string_view key) { return weightId(key, fields_.text(key)); }

  std::vector<int> weights(std::string_view key) {
    std::vector<int> ids;
    for (std::string_view part : split(fields_.text(key), ',')) ids.push_back(weightId(key, part));
    if (ids.empty()) fields_.fail(std::string(key) + " is empty");
    return ids;
  }

  std::vector<int> biasList(std::string_view text) const {
    std::vector<int> ids;
    for (std::string_view part : split(text, ',')) ids.push_back(part == "-" ? -1 : weightId("biases", part));
    return ids;
  }

  Norm parseNorm(std::string_view key, std::string_view text) {
    Norm norm;
    norm.present = true;
    norm.weight = text == "one" ? -1 : weightId(key, text);
    norm.eps = fields_.number("eps");
    norm.offset = fields_.number("offset");
    return norm;
  }

  Act act() {
    const std::string_view name = fields_.text("act");
    if (name == "silu") return Act::kSilu;
    if (name == "gelu_tanh") return Act::kGeluTanh;
    fields_.fail("act is '" + std::string(name) + "', needs silu or gelu_tanh");
  }

  int heads() { return static_cast<int>(fields_.integer("heads", 1, kMaxHeads)); }

  void groupAndLayer() {
    constexpr int64_t kAny = std::numeric_limits<int>::max();  // the validator knows how many there are
    op_.group = static_cast<int>(fields_.integer("group", 0, kAny));
    op_.layer = static_cast<int>(fields_.integer("layer", 0, kAny));
  }

  const Plan& plan_;
  Fields& fields_;
  Op op_{};
};

}  // namespace

const char* opName(OpKind kind) { return kNames[static_cast<size_t>(kind)]; }

Op parseOp(const Plan& plan, std::string_view name, Fields& fields) {
  for (size_t kind = 0; kind < std::size(kNames); ++kind)
    if (name == kNames[kind]) return OpParser(plan, static_cast<OpKind>(kind), fields).parse();
  fields.fail("unknown op");
}

}  // namespace mistralrs
