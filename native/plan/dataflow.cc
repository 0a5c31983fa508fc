#include "plan/dataflow.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plan/parse_op.h"
#include "plan/plan_fields.h"

namespace mistralrs {
namespace {

// The columns of a buffer that hold data: disjoint ranges in order.
class Columns {
 public:
  void add(int64_t begin, int64_t end) {
    std::vector<std::pair<int64_t, int64_t>> merged;
    for (const auto& range : ranges_) {
      if (range.second < begin || range.first > end) {
        merged.push_back(range);
      } else {
        begin = std::min(begin, range.first);
        end = std::max(end, range.second);
      }
    }
    merged.emplace_back(begin, end);
    std::sort(merged.begin(), merged.end());
    ranges_ = std::move(merged);
  }
  bool contains(int64_t begin, int64_t end) const {
    return std::any_of(ranges_.begin(), ranges_.end(), [&](const auto& r) { return r.first <= begin && end <= r.second; });
  }
  void clear() { ranges_.clear(); }

 private:
  std::vector<std::pair<int64_t, int64_t>> ranges_;
};

bool mayEqualOut(const Op& op, const View& input) {
  switch (op.kind) {
    case OpKind::kRmsNorm: return &input == &op.in || &input == &op.residual;
    case OpKind::kLinear: return &input == &op.residual;
    case OpKind::kAdd: return &input == &op.in || &input == &op.in2;
    case OpKind::kActMul: return &input == &op.in;
    case OpKind::kRope:
    case OpKind::kNormRope:
    case OpKind::kScale:
    case OpKind::kSoftcap: return &input == &op.in;
    default: return false;
  }
}

class Dataflow {
 public:
  explicit Dataflow(const Plan& plan) : plan_(plan), written_(plan.buffers.size()) {}

  void run() {
    for (const Op& op : plan_.ops) {
      for (const View* view : {&op.in, &op.in2, &op.residual}) {
        if (!*view) continue;
        requireWritten(op, *view);
        if (op.out) checkAlias(op, *view);
      }
      if (op.kind == OpKind::kKvWrite && !cached_.emplace(op.group, op.layer).second)
        fail(op, "layer " + std::to_string(op.layer) + " of group " + std::to_string(op.group) + " is written twice");
      if (op.kind == OpKind::kAttention && !cached_.contains({op.group, op.layer}))
        fail(op, "layer " + std::to_string(op.layer) + " of group " + std::to_string(op.group) + " is read before a kv_write");
      if (op.out) write(op.out);
    }
    checkResult();
  }

 private:
  [[noreturn]] static void fail(const Op& op, const std::string& message) {
    failPlan(op.line, std::string("op ") + opName(op.kind), message);
  }

  static std::string name(const View& view) {
    return "b" + std::to_string(view.buffer) + "[" + std::to_string(view.column) + ":" + std::to_string(view.column + view.width) + "]";
  }

  // Two buffers of one arena share floats for some number of rows exactly when their ranges per row overlap.
  bool sharePlace(int a, int b) const {
    const Buffer &x = plan_.buffers[static_cast<size_t>(a)], &y = plan_.buffers[static_cast<size_t>(b)];
    return x.rows == y.rows && x.at < y.at + y.width && y.at < x.at + x.width;
  }

  void requireWritten(const Op& op, const View& view) const {
    if (!written_[static_cast<size_t>(view.buffer)].contains(view.column, view.column + view.width))
      fail(op, "reads " + name(view) + ", which is not written, or overwritten since by a buffer in the same place");
  }

  void checkAlias(const Op& op, const View& input) const {
    if (input.buffer != op.out.buffer) {
      if (sharePlace(input.buffer, op.out.buffer)) fail(op, "writes " + name(op.out) + " in the place of its input " + name(input));
      return;
    }
    const bool overlap = input.column < op.out.column + op.out.width && op.out.column < input.column + input.width;
    if (overlap && !(input == op.out && mayEqualOut(op, input)))
      fail(op, "writes " + name(op.out) + " over its input " + name(input));
  }

  // Rows of another width interleave with ours, so any write takes the whole of every buffer in the same place.
  void write(const View& out) {
    for (int other = 0; other < static_cast<int>(written_.size()); ++other)
      if (other != out.buffer && sharePlace(other, out.buffer)) written_[static_cast<size_t>(other)].clear();
    written_[static_cast<size_t>(out.buffer)].add(out.column, out.column + out.width);
  }

  void checkResult() const {
    const int line = plan_.ops.empty() ? 1 : plan_.ops.back().line;
    const char* name = plan_.sampled ? "logits" : "hidden";
    const Buffer& result = plan_.buffers[static_cast<size_t>(plan_.logits)];
    if (result.rows != RowSymbol::kLogitRows || (plan_.sampled && result.width != plan_.vocab))
      failPlan(line, name, result.name + " is [" + (result.rows == RowSymbol::kTokens ? "T" : "L") + ", " +
                               std::to_string(result.width) + "], needs [L, " + (plan_.sampled ? std::to_string(plan_.vocab) : "any") + "]");
    if (!written_[static_cast<size_t>(plan_.logits)].contains(0, result.width))
      failPlan(line, name, result.name + " is not written in full, or overwritten since");
  }

  const Plan& plan_;
  std::vector<Columns> written_;  // by buffer
  std::set<std::pair<int, int>> cached_;  // (group, layer)
};

}  // namespace

void validateDataflow(const Plan& plan) { Dataflow(plan).run(); }

}  // namespace mistralrs
