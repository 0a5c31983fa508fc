#include "plan/batch.h"

#include <algorithm>
#include <limits>
#include <string>
#include <unordered_set>

#include "plan/error.h"

namespace mistralrs {
namespace {

constexpr int64_t kMaxPositions = int64_t{1} << 30;

[[noreturn]] void fail(const std::string& message) { throw Error("invalid_batch", message); }

std::string at(const char* field, size_t index, int64_t value) {
  return std::string(field) + "[" + std::to_string(index) + "] is " + std::to_string(value);
}

std::string groupField(size_t group, const char* field) { return "pageTables[" + std::to_string(group) + "]." + field; }

void requireLength(const char* field, size_t length, size_t needed, const char* why) {
  if (length != needed)
    fail(std::string(field) + " has " + std::to_string(length) + " entries, needs " + std::to_string(needed) + " (" + why + ")");
}

// begin, .., end: starts at 0, never falls (`strictly`: rises), ends at `total`.
void requirePrefixSums(const char* field, const std::vector<int32_t>& sums, size_t total, bool strictly) {
  if (sums.front() != 0) fail(at(field, 0, sums.front()) + ", needs 0");
  for (size_t i = 1; i < sums.size(); ++i)
    if (sums[i] < sums[i - 1] + (strictly ? 1 : 0) || static_cast<size_t>(sums[i]) > total)
      fail(at(field, i, sums[i]) + ", needs " + (strictly ? "more than " : "at least ") + std::to_string(sums[i - 1]) + " and at most " +
           std::to_string(total));
  if (static_cast<size_t>(sums.back()) != total)
    fail(at(field, sums.size() - 1, sums.back()) + ", needs " + std::to_string(total));
}

void checkTokens(const Plan& plan, int numSlots, const Batch& batch) {
  const int64_t limit = tokenLimit(plan);
  for (size_t i = 0; i < batch.tokens.size(); ++i) {
    const int64_t token = batch.tokens[i];
    if (token >= limit) fail(at("tokens", i, token) + ", needs less than " + std::to_string(limit));
    if (token < -int64_t{numSlots}) fail(at("tokens", i, token) + ": slot " + std::to_string(-token - 1) + " of " + std::to_string(numSlots));
  }
}

void checkPositions(const Batch& batch) {
  for (size_t b = 0; b < batch.kvLength.size(); ++b) {
    const auto begin = static_cast<size_t>(batch.queryStart[b]), end = static_cast<size_t>(batch.queryStart[b + 1]);
    const int64_t first = batch.positions[begin];
    if (first < 0 || first > kMaxPositions) fail(at("positions", begin, first) + ", needs 0 to " + std::to_string(kMaxPositions));
    for (size_t t = begin; t < end; ++t)
      if (batch.positions[t] != first + static_cast<int64_t>(t - begin))
        fail(at("positions", t, batch.positions[t]) + ", needs " + std::to_string(first + static_cast<int64_t>(t - begin)) + " (consecutive in sequence " +
             std::to_string(b) + ")");
    const int64_t length = first + static_cast<int64_t>(end - begin);
    if (batch.kvLength[b] != length) fail(at("kvLength", b, batch.kvLength[b]) + ", needs " + std::to_string(length) + " (last position + 1)");
  }
}

// `writtenSlots` holds the places of the pool, page * pageTokens + slot, that rows of this batch write.
void checkGroup(const KvGroup& group, size_t index, int64_t numPages, const Batch& batch, std::unordered_set<int64_t>& writtenSlots) {
  const Batch::PageTable& table = batch.pageTables[index];
  const std::string start = groupField(index, "start"), pages = groupField(index, "pages");
  requireLength(start.c_str(), table.start.size(), batch.kvLength.size() + 1, "sequences + 1");
  requirePrefixSums(start.c_str(), table.start, table.pages.size(), false);
  for (size_t i = 0; i < table.pages.size(); ++i)
    if (table.pages[i] < -1 || table.pages[i] >= numPages)
      fail(at(pages.c_str(), i, table.pages[i]) + ", needs -1 to " + std::to_string(numPages - 1));
  for (size_t b = 0; b < batch.kvLength.size(); ++b) {
    const int64_t first = batch.positions[static_cast<size_t>(batch.queryStart[b])], length = batch.kvLength[b];
    const int64_t held = table.start[b + 1] - table.start[b];
    const int64_t needed = (length + group.pageTokens - 1) / group.pageTokens;
    if (held < needed)
      fail(pages + " has " + std::to_string(held) + " for sequence " + std::to_string(b) + ", needs " + std::to_string(needed) + " for " +
           std::to_string(length) + " tokens");
    const int64_t firstVisible = group.window ? std::max<int64_t>(0, first - group.window + 1) : 0;
    for (int64_t page = firstVisible / group.pageTokens; page < needed; ++page)
      if (table.pages[static_cast<size_t>(table.start[b] + page)] < 0)
        fail(at(pages.c_str(), static_cast<size_t>(table.start[b] + page), -1) + ", but sequence " + std::to_string(b) +
             " sees tokens of this page");
    for (int64_t position = first; position < length; ++position) {
      const int64_t page = table.pages[static_cast<size_t>(table.start[b] + position / group.pageTokens)];
      if (!writtenSlots.insert(page * group.pageTokens + position % group.pageTokens).second)
        fail(at("positions", static_cast<size_t>(batch.queryStart[b] + position - first), position) + ": it writes a place of page " +
             std::to_string(page) + " (group " + std::to_string(index) + ") that another row writes");
    }
  }
}

}  // namespace

int64_t tokenLimit(const Plan& plan) {
  int64_t limit = std::numeric_limits<int32_t>::max();
  for (const Op& op : plan.ops)
    if (op.kind == OpKind::kEmbed) limit = std::min(limit, plan.weights[static_cast<size_t>(op.weights[0])].rows);
  return limit;
}

void validateOptions(const Plan& plan, const BackendOptions& options) {
  const auto range = [](const char* name, int64_t value, int64_t min, int64_t max) {
    if (value < min || value > max)
      throw Error("invalid_argument", std::string(name) + " is " + std::to_string(value) + ", needs " + std::to_string(min) + " to " + std::to_string(max));
  };
  range("threads", options.threads, 1, 1024);
  range("maxTokens", options.maxTokens, 1, 1 << 20);
  range("maxSequences", options.maxSequences, 1, 1 << 20);
  range("maxLogitRows", options.maxLogitRows, 1, 1 << 20);
  range("kv.numPages", options.numPages, plan.groups.empty() ? 0 : 1, 1 << 30);
  range("kv.pageBytes", options.pageBytes, plan.groups.empty() ? 0 : 64, int64_t{1} << 32);
  if (options.pageBytes % 64) throw Error("invalid_argument", "kv.pageBytes is " + std::to_string(options.pageBytes) + ", needs a multiple of 64");
  const int64_t elementBytes = options.kvType == KvType::kF16 ? 2 : 4;
  for (size_t i = 0; i < plan.groups.size(); ++i) {
    const KvGroup& group = plan.groups[i];
    // As doubles: five factors of up to 2^16 do not fit an int64.
    const double needed = 2.0 * static_cast<double>(elementBytes) * group.layers * group.pageTokens * group.kvHeads * group.headDim;
    if (needed > static_cast<double>(options.pageBytes))
      throw Error("invalid_argument", format("kv.pageBytes is %lld, group %zu of the plan needs %.0f", static_cast<long long>(options.pageBytes), i, needed));
  }
}

void validateBatch(const Plan& plan, const BackendOptions& options, int numSlots, const Batch& batch) {
  const size_t tokens = batch.tokens.size(), sequences = batch.kvLength.size();
  const auto atMost = [](const char* field, size_t length, int limit, const char* name) {
    if (length > static_cast<size_t>(limit))
      fail(std::string(field) + " has " + std::to_string(length) + " entries, " + name + " is " + std::to_string(limit));
  };
  if (tokens == 0) fail("tokens is empty");
  atMost("tokens", tokens, options.maxTokens, "maxTokens");
  atMost("kvLength", sequences, options.maxSequences, "maxSequences");
  atMost("logitRows", batch.logitRows.size(), options.maxLogitRows, "maxLogitRows");
  requireLength("positions", batch.positions.size(), tokens, "one for each token");
  requireLength("queryStart", batch.queryStart.size(), sequences + 1, "sequences + 1");
  requirePrefixSums("queryStart", batch.queryStart, tokens, true);
  checkTokens(plan, numSlots, batch);
  checkPositions(batch);
  requireLength("pageTables", batch.pageTables.size(), plan.groups.size(), "one for each KV group of the plan");
  for (size_t i = 0; i < plan.groups.size(); ++i) {
    std::unordered_set<int64_t> writtenSlots;
    checkGroup(plan.groups[i], i, options.numPages, batch, writtenSlots);
  }
  if (plan.wholeSequences)
    for (size_t b = 0; b < sequences; ++b)
      if (batch.positions[static_cast<size_t>(batch.queryStart[b])] != 0)
        fail("sequence " + std::to_string(b) + " begins at position " +
             std::to_string(batch.positions[static_cast<size_t>(batch.queryStart[b])]) + ": this plan needs whole sequences");
  for (size_t i = 0; i < batch.logitRows.size(); ++i)
    if (batch.logitRows[i] < 0 || static_cast<size_t>(batch.logitRows[i]) >= tokens)
      fail(at("logitRows", i, batch.logitRows[i]) + ", needs 0 to " + std::to_string(tokens - 1));
}

void validateCopyPages(const BackendOptions& options, std::span<const int32_t> from, std::span<const int32_t> to) {
  requireLength("to", to.size(), from.size(), "one for each page of from");
  const std::unordered_set<int32_t> sources(from.begin(), from.end());
  std::unordered_set<int32_t> targets;
  for (size_t i = 0; i < from.size(); ++i) {
    for (const auto& [field, page] : {std::pair{"from", from[i]}, std::pair{"to", to[i]}})
      if (page < 0 || page >= options.numPages) fail(at(field, i, page) + ", needs 0 to " + std::to_string(options.numPages - 1));
    if (!targets.insert(to[i]).second || sources.contains(to[i])) fail(at("to", i, to[i]) + ", which is named twice");
  }
}

}  // namespace mistralrs
