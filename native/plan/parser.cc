#include "plan/parser.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "plan/error.h"
#include "plan/parse_op.h"
#include "plan/plan_fields.h"
#include "plan/validator.h"

namespace mistralrs {
namespace {

// Bounds that keep every product of sizes within int64 and every count of a kernel call within int32.
constexpr int64_t kMaxSize = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxArenaWidth = int64_t{1} << 40;
constexpr int kMaxSmall = 1 << 16;  // heads, head sizes, layers, tokens of a page

class Parser {
 public:
  Plan parse(std::string_view text) {
    int line = 0;
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      std::string_view statement = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      ++line;
      if (!statement.empty() && statement.back() == '\r') statement.remove_suffix(1);
      if (statement.find_first_not_of(' ') != std::string_view::npos) parseStatement(line, statement);
    }
    if (!started_) failPlan(1, "plan", "the plan is empty");
    if (plan_.vocab == 0) failPlan(line, "plan", "there is no vocab statement");
    if (plan_.logits < 0) failPlan(line, "plan", "there is no logits or hidden statement");
    for (const Op& op : plan_.ops) plan_.wholeSequences |= !op.causal || op.kind == OpKind::kMeanRows;
    return std::move(plan_);
  }

 private:
  static std::string_view takeWord(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    return word;
  }

  void parseStatement(int line, std::string_view rest) {
    const std::string_view keyword = takeWord(rest);
    const std::string_view subject = takeWord(rest);
    Fields fields(line, std::string(keyword) + " " + std::string(subject.substr(0, 40)), rest);
    if (!started_ && keyword != "plan") fields.fail("the first statement must be 'plan " + std::to_string(kPlanVersion) + "'");
    if (plan_.logits >= 0) fields.fail("nothing may follow the " + std::string(plan_.sampled ? "logits" : "hidden") + " statement");
    if (keyword == "plan") {
      if (started_) fields.fail("there is a plan statement already");
      fields.parseInteger("version", subject, kPlanVersion, kPlanVersion);
      started_ = true;
    } else if (keyword == "vocab") {
      if (plan_.vocab) fields.fail("there is a vocab statement already");
      plan_.vocab = fields.parseInteger("vocab", subject, 1, kMaxSize);
    } else if (keyword == "group") {
      requireNext(fields, subject, "", plan_.groups.size());
      plan_.groups.push_back(parseGroup(fields));
    } else if (keyword == "rope") {
      requireNext(fields, subject, "r", plan_.ropes.size());
      plan_.ropes.push_back(parseRope(fields));
    } else if (keyword == "weight") {
      requireNext(fields, subject, "w", plan_.weights.size());
      plan_.weights.push_back(parseWeight(fields));
    } else if (keyword == "buffer") {
      requireNext(fields, subject, "b", plan_.buffers.size());
      plan_.buffers.push_back(parseBuffer(fields, subject));
    } else if (keyword == "op") {
      plan_.ops.push_back(parseOp(plan_, subject, fields));
    } else if (keyword == "logits" || keyword == "hidden") {
      plan_.sampled = keyword == "logits";
      plan_.logits = fields.parseId(keyword, subject, 'b', plan_.buffers.size());
    } else {
      fields.fail("unknown statement");
    }
    fields.finish();
  }

  static void requireNext(const Fields& fields, std::string_view id, std::string_view prefix, size_t count) {
    const std::string expected = std::string(prefix) + std::to_string(count);
    if (id != expected) fields.fail("ids count up without holes; the next one is " + expected);
  }

  static KvGroup parseGroup(Fields& fields) {
    KvGroup group;
    const std::string_view kind = fields.text("kind");
    if (kind == "sliding") {
      group.window = static_cast<int>(fields.integer("window", 1, kMaxSize));
    } else if (kind != "full") {
      fields.fail("kind is '" + std::string(kind) + "', needs full or sliding");
    }
    group.kvHeads = static_cast<int>(fields.integer("kv_heads", 1, kMaxSmall));
    group.headDim = static_cast<int>(fields.integer("head_dim", 2, kMaxSmall));
    group.layers = static_cast<int>(fields.integer("layers", 1, kMaxSmall));
    group.pageTokens = static_cast<int>(fields.integer("page_tokens", 16, kMaxSmall));
    if (group.headDim % 2) fields.fail(format("head_dim is %d, needs an even number", group.headDim));
    if (group.pageTokens % 16) fields.fail(format("page_tokens is %d, needs a multiple of 16", group.pageTokens));
    return group;
  }

  static RopeTable parseRope(Fields& fields) {
    RopeTable rope;
    rope.dim = static_cast<int>(fields.integer("dim", 2, kMaxSmall));
    rope.factor = fields.number("factor");
    rope.invFreq = fields.numbers("inv_freq");
    if (rope.dim % 2 || rope.invFreq.size() != static_cast<size_t>(rope.dim / 2))
      fields.fail(format("dim %d needs %d frequencies, inv_freq has %zu", rope.dim, rope.dim / 2, rope.invFreq.size()));
    return rope;
  }

  WeightDecl parseWeight(Fields& fields) {
    WeightDecl weight;
    weight.rows = fields.integer("rows", 1, kMaxSize);
    weight.cols = fields.integer("cols", 1, kMaxSize);
    weight.name = std::string(fields.text("name"));
    if (weight.name.empty()) fields.fail("name is empty");
    if (!names_.insert(weight.name).second) fields.fail("there is a weight named " + weight.name + " already");
    return weight;
  }

  Buffer parseBuffer(Fields& fields, std::string_view name) {
    Buffer buffer;
    buffer.name = std::string(name);
    const std::string_view rows = fields.text("rows");
    if (rows != "T" && rows != "L") fields.fail("rows is '" + std::string(rows) + "', needs T or L");
    buffer.rows = rows == "T" ? RowSymbol::kTokens : RowSymbol::kLogitRows;
    buffer.width = fields.integer("width", 1, kMaxSize);
    buffer.at = fields.integer("at", 0, kMaxArenaWidth);
    if (buffer.at % 16) fields.fail(format("at is %lld, needs a multiple of 16", static_cast<long long>(buffer.at)));
    int64_t& arena = plan_.arenaWidth[static_cast<size_t>(buffer.rows)];
    arena = std::max(arena, buffer.at + buffer.width);
    return buffer;
  }

  Plan plan_;
  bool started_ = false;
  std::unordered_set<std::string> names_;
};

}  // namespace

Plan parsePlan(std::string_view text) {
  Plan plan = Parser().parse(text);
  validatePlan(plan);
  return plan;
}

}  // namespace mistralrs
