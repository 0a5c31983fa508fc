#include "plan/validator.h"

#include <string>

#include "plan/dataflow.h"
#include "plan/error.h"
#include "plan/parse_op.h"
#include "plan/plan_fields.h"

namespace mistralrs {
namespace {

// The shape rules of one op.
class OpCheck {
 public:
  OpCheck(const Plan& plan, const Op& op) : plan_(plan), op_(op) {}

  void run() const {
    checkRows();
    switch (op_.kind) {
      case OpKind::kEmbed: return requireWeight("weight", op_.weights[0], kAny, op_.out.width);
      case OpKind::kLinear: return checkLinear();
      case OpKind::kGatedLinear:
        requireWeight("gate", op_.weights[0], op_.out.width, op_.in.width);
        requireWeight("up", op_.weights[1], op_.out.width, op_.in.width);
        return checkNorm(op_.in.width);
      case OpKind::kRmsNorm:
        checkNorm(headSize());
        equal("out", op_.out.width, "in", op_.in.width);
        if (op_.residual) equal("residual", op_.residual.width, "out", op_.out.width);
        if (op_.scaleWeight >= 0) requireWeight("scale", op_.scaleWeight, 1, 1);
        return;
      case OpKind::kNormRope:
        checkNorm(headSize());
        [[fallthrough]];
      case OpKind::kRope: {
        const int dim = plan_.ropes[static_cast<size_t>(op_.rope)].dim;
        if (dim > headSize()) fail(format("rope of dim %d over heads of %s", dim, text(headSize()).c_str()));
        return equal("out", op_.out.width, "in", op_.in.width);
      }
      case OpKind::kKvWrite: {
        const KvGroup& group = kvGroup();
        equal("k", op_.in.width, "kv_heads * head_dim", int64_t{group.kvHeads} * group.headDim);
        return equal("v", op_.in2.width, "kv_heads * head_dim", int64_t{group.kvHeads} * group.headDim);
      }
      case OpKind::kAttention: {
        const KvGroup& group = kvGroup();
        equal("the head size of q", headSize(), "head_dim of the group", group.headDim);
        equal("out", op_.out.width, "q", op_.in.width);
        if (op_.heads % group.kvHeads) fail(format("%d heads cannot share %d kv heads equally", op_.heads, group.kvHeads));
        if (op_.softcap < 0) fail(format("softcap is %g, needs 0 or more", static_cast<double>(op_.softcap)));
        return;
      }
      case OpKind::kAdd:
      case OpKind::kActMul:
        equal("the second operand", op_.in2.width, "the first", op_.in.width);
        return equal("out", op_.out.width, "the first operand", op_.in.width);
      case OpKind::kScale:
        requireWeight("weight", op_.weights[0], 1, 1);
        return equal("out", op_.out.width, "in", op_.in.width);
      case OpKind::kSoftcap:
        if (!(op_.softcap > 0)) fail(format("cap is %g, needs more than 0", static_cast<double>(op_.softcap)));
        return equal("out", op_.out.width, "in", op_.in.width);
      case OpKind::kSelectRows:
      case OpKind::kMeanRows: return equal("out", op_.out.width, "in", op_.in.width);
    }
  }

 private:
  static constexpr int64_t kAny = -1;

  [[noreturn]] void fail(const std::string& message) const {
    failPlan(op_.line, std::string("op ") + opName(op_.kind), message);
  }

  static std::string text(int64_t value) { return std::to_string(value); }

  void equal(const char* what, int64_t width, const char* other, int64_t expected) const {
    if (width != expected) fail(std::string(what) + " is " + text(width) + " wide, " + other + " is " + text(expected));
  }

  void requireWeight(const char* what, int index, int64_t rows, int64_t cols) const {
    const WeightDecl& weight = plan_.weights[static_cast<size_t>(index)];
    if ((rows == kAny || weight.rows == rows) && weight.cols == cols) return;
    fail(std::string(what) + " w" + text(index) + " (" + weight.name + ") is [" + text(weight.rows) + ", " + text(weight.cols) +
         "], needs [" + (rows == kAny ? "any" : text(rows)) + ", " + text(cols) + "]");
  }

  int64_t headSize() const {
    if (op_.in.width % op_.heads) fail(format("%d heads do not divide a width of %s", op_.heads, text(op_.in.width).c_str()));
    return op_.in.width / op_.heads;
  }

  const KvGroup& kvGroup() const {
    if (op_.group >= static_cast<int>(plan_.groups.size()))
      fail(format("group is %d, there are %zu", op_.group, plan_.groups.size()));
    const KvGroup& group = plan_.groups[static_cast<size_t>(op_.group)];
    if (op_.layer >= group.layers) fail(format("layer is %d, group %d has %d", op_.layer, op_.group, group.layers));
    return group;
  }

  void checkNorm(int64_t width) const {
    const Norm& norm = op_.norm;
    if (!norm.present) return;
    if (norm.weight >= 0) requireWeight("norm weight", norm.weight, 1, width);
    if (!(norm.eps > 0)) fail(format("eps is %g, needs more than 0", static_cast<double>(norm.eps)));
    if (norm.offset != 0 && norm.offset != 1) fail(format("offset is %g, needs 0 or 1", static_cast<double>(norm.offset)));
  }

  void checkLinear() const {
    if (!op_.biases.empty() && op_.biases.size() != op_.weights.size())
      fail(format("%zu biases for %zu weights", op_.biases.size(), op_.weights.size()));
    int64_t rows = 0;
    for (size_t i = 0; i < op_.weights.size(); ++i) {
      requireWeight("weight", op_.weights[i], kAny, op_.in.width);
      const int64_t own = plan_.weights[static_cast<size_t>(op_.weights[i])].rows;
      if (!op_.biases.empty() && op_.biases[i] >= 0) requireWeight("bias", op_.biases[i], 1, own);
      rows += own;
    }
    equal("out", op_.out.width, "the sum of the weights' rows", rows);
    checkNorm(op_.in.width);
    if (op_.residual) equal("residual", op_.residual.width, "out", op_.out.width);
  }

  // Which rows (T or L) an op works on.
  void checkRows() const {
    const bool needsTokens = op_.kind == OpKind::kEmbed || op_.kind == OpKind::kRope || op_.kind == OpKind::kNormRope ||
                             op_.kind == OpKind::kKvWrite || op_.kind == OpKind::kAttention;
    if (op_.kind == OpKind::kSelectRows || op_.kind == OpKind::kMeanRows) {
      if (symbol(op_.in) != RowSymbol::kTokens || symbol(op_.out) != RowSymbol::kLogitRows)
        fail("needs an in of T rows and an out of L rows");
      return;
    }
    const RowSymbol rows = symbol(op_.out ? op_.out : op_.in);
    if (needsTokens && rows != RowSymbol::kTokens) fail("needs buffers of T rows");
    for (const View& view : {op_.in, op_.in2, op_.residual})
      if (view && symbol(view) != rows) fail("mixes buffers of T rows and of L rows");
  }

  RowSymbol symbol(const View& view) const { return plan_.buffers[static_cast<size_t>(view.buffer)].rows; }

  const Plan& plan_;
  const Op& op_;
};

}  // namespace

void validatePlan(const Plan& plan) {
  for (const Op& op : plan.ops) OpCheck(plan, op).run();
  validateDataflow(plan);
}

}  // namespace mistralrs
