#include "plan/batch.h"

#include <functional>
#include <limits>
#include <random>

#include "plan/parser.h"
#include "testing/testing.h"

namespace mistralrs {
namespace {

Plan plan() {
  return parsePlan(
      "plan 1\nvocab 40\n"
      "group 0 kind=full kv_heads=1 head_dim=4 layers=1 page_tokens=16\n"
      "group 1 kind=sliding window=8 kv_heads=1 head_dim=4 layers=1 page_tokens=16\n"
      "weight w0 rows=40 cols=8 name=e\n"
      "buffer b0 rows=T width=8 at=0\nbuffer b1 rows=L width=8 at=0\nbuffer b2 rows=L width=40 at=16\n"
      "op embed out=b0 weight=w0 scale=1\nop select_rows in=b0 out=b1\nop linear in=b1 out=b2 weights=w0\nlogits b2\n");
}

BackendOptions options() {
  BackendOptions o;
  o.maxTokens = 8;
  o.maxSequences = 3;
  o.maxLogitRows = 4;
  o.numPages = 10;
  o.pageBytes = 512;
  return o;
}

// Two sequences: three new tokens after 30 cached ones (its first window page freed), and a fresh one of two.
Batch good() {
  Batch b;
  b.tokens = {1, 39, -2, 0, 5};
  b.positions = {30, 31, 32, 0, 1};
  b.queryStart = {0, 3, 5};
  b.kvLength = {33, 2};
  b.pageTables = {{{0, 3, 4}, {4, 5, 6, 7}}, {{0, 3, 4}, {-1, 8, 9, 3}}};
  b.logitRows = {4, 2, 2};
  return b;
}

TEST(batchAcceptsWhatTheContractAllows) {
  validateBatch(plan(), options(), 2, good());
  Batch noLogits = good();
  noLogits.logitRows.clear();
  validateBatch(plan(), options(), 2, noLogits);
  Batch shared = good();  // the second sequence reads the first page of the first and writes its own
  shared.positions = {30, 31, 32, 16, 17};
  shared.kvLength[1] = 18;
  shared.pageTables[0] = {{0, 3, 5}, {4, 5, 6, 4, 7}};
  shared.pageTables[1] = {{0, 3, 5}, {-1, 8, 9, 2, 3}};
  validateBatch(plan(), options(), 2, shared);
}

TEST(batchNamesWhatIsWrong) {
  constexpr int32_t kMin = std::numeric_limits<int32_t>::min(), kMax = std::numeric_limits<int32_t>::max();
  const struct { std::function<void(Batch&)> change; const char* message; } cases[] = {
      {[](Batch& b) { b = {}; b.queryStart = {0}; }, "tokens is empty"},
      {[](Batch& b) { b.tokens[1] = 40; }, "tokens[1] is 40, needs less than 40"},
      {[](Batch& b) { b.tokens[1] = -3; }, "tokens[1] is -3: slot 2 of 2"},
      {[](Batch& b) { b.tokens[1] = kMin; }, "tokens[1] is -2147483648"},
      {[](Batch& b) { b.tokens.resize(9); }, "tokens has 9 entries, maxTokens is 8"},
      {[](Batch& b) { b.kvLength.resize(4); }, "kvLength has 4 entries, maxSequences is 3"},
      {[](Batch& b) { b.logitRows.resize(5); }, "logitRows has 5 entries, maxLogitRows is 4"},
      {[](Batch& b) { b.positions.pop_back(); }, "positions has 4 entries, needs 5"},
      {[](Batch& b) { b.queryStart.pop_back(); }, "queryStart has 2 entries, needs 3"},
      {[](Batch& b) { b.queryStart[0] = 1; }, "queryStart[0] is 1, needs 0"},
      {[](Batch& b) { b.queryStart[1] = 0; }, "queryStart[1] is 0, needs more than 0"},
      {[](Batch& b) { b.queryStart[1] = kMax; }, "queryStart[1] is 2147483647"},
      {[](Batch& b) { b.queryStart[2] = 4; }, "queryStart[2] is 4, needs 5"},
      {[](Batch& b) { b.positions[1] = 30; }, "positions[1] is 30, needs 31"},
      {[](Batch& b) { b.positions[3] = -1; }, "positions[3] is -1"},
      {[](Batch& b) { b.positions = {30, 31, 32, kMax, kMin}; }, "positions[3] is 2147483647"},
      {[](Batch& b) { b.kvLength[0] = 32; }, "kvLength[0] is 32, needs 33"},
      {[](Batch& b) { b.kvLength[1] = kMax; }, "kvLength[1] is 2147483647"},
      {[](Batch& b) { b.pageTables.pop_back(); }, "pageTables has 1 entries, needs 2"},
      {[](Batch& b) { b.pageTables[0].start.pop_back(); }, "pageTables[0].start has 2 entries, needs 3"},
      {[](Batch& b) { b.pageTables[0].start[1] = 5; }, "pageTables[0].start[1] is 5"},
      {[](Batch& b) { b.pageTables[0].start[1] = -1; }, "pageTables[0].start[1] is -1"},
      {[](Batch& b) { b.pageTables[0].start[1] = 2; }, "pageTables[0].pages has 2 for sequence 0, needs 3 for 33 tokens"},
      {[](Batch& b) { b.pageTables[0].pages[0] = 10; }, "pageTables[0].pages[0] is 10, needs -1 to 9"},
      {[](Batch& b) { b.pageTables[0].pages[0] = -2; }, "pageTables[0].pages[0] is -2"},
      {[](Batch& b) { b.pageTables[0].pages[0] = -1; }, "pageTables[0].pages[0] is -1, but sequence 0 sees tokens"},
      {[](Batch& b) { b.pageTables[1].pages[1] = -1; }, "pageTables[1].pages[1] is -1, but sequence 0 sees tokens"},
      {[](Batch& b) { b.pageTables[1].pages[3] = 9; }, "positions[3] is 0: it writes a place of page 9 (group 1) that another row writes"},
      {[](Batch& b) { b.logitRows[2] = 5; }, "logitRows[2] is 5, needs 0 to 4"},
      {[](Batch& b) { b.logitRows[0] = -1; }, "logitRows[0] is -1"},
  };
  for (const auto& c : cases) {
    Batch batch = good();
    c.change(batch);
    CHECK_ERROR("invalid_batch", c.message, validateBatch(plan(), options(), 2, batch));
  }
}

// Whatever the values: an Error or a batch that indexes only what exists.
TEST(batchSurvivesRandomValues) {
  const Plan p = plan();
  const BackendOptions o = options();
  std::mt19937 random(1);
  const int32_t edges[] = {0, 1, -1, 2, 3, 5, 16, 33, 1 << 30, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()};
  const auto scramble = [&](std::vector<int32_t>& values) {
    if (random() % 3) return;
    if (random() % 3 == 0) values.resize(random() % 7);
    if (!values.empty()) values[random() % values.size()] = edges[random() % std::size(edges)];
  };
  for (int round = 0; round < 20000; ++round) {
    Batch b = good();
    scramble(b.tokens);
    scramble(b.positions);
    scramble(b.queryStart);
    scramble(b.kvLength);
    scramble(b.logitRows);
    for (auto& table : b.pageTables) {
      scramble(table.start);
      scramble(table.pages);
    }
    try {
      validateBatch(p, o, 2, b);
    } catch (const Error& error) {
      CHECK_EQ(error.code, "invalid_batch");
    }
  }
}

TEST(copyPagesNamesWhatIsWrong) {
  const std::vector<int32_t> from = {1, 2, 1};
  validateCopyPages(options(), from, std::vector<int32_t>{3, 4, 5});
  CHECK_ERROR("invalid_batch", "to has 2 entries", validateCopyPages(options(), from, std::vector<int32_t>{3, 4}));
  CHECK_ERROR("invalid_batch", "to[1] is 10", validateCopyPages(options(), from, std::vector<int32_t>{3, 10, 4}));
  CHECK_ERROR("invalid_batch", "to[2] is 3, which is named twice", validateCopyPages(options(), from, std::vector<int32_t>{3, 4, 3}));
  CHECK_ERROR("invalid_batch", "to[0] is 2, which is named twice", validateCopyPages(options(), from, std::vector<int32_t>{2, 4, 3}));
}

TEST(optionsMustFitThePlan) {
  const struct { std::function<void(BackendOptions&)> change; const char* message; } cases[] = {
      {[](BackendOptions& o) { o.threads = 0; }, "threads is 0"},
      {[](BackendOptions& o) { o.maxTokens = 0; }, "maxTokens is 0"},
      {[](BackendOptions& o) { o.numPages = 0; }, "kv.numPages is 0"},
      {[](BackendOptions& o) { o.pageBytes = 500; }, "kv.pageBytes is 500, needs a multiple of 64"},
      {[](BackendOptions& o) { o.pageBytes = 448; }, "kv.pageBytes is 448, group 0 of the plan needs 512"},
  };
  validateOptions(plan(), options());
  for (const auto& c : cases) {
    BackendOptions o = options();
    c.change(o);
    CHECK_ERROR("invalid_argument", c.message, validateOptions(plan(), o));
  }
  BackendOptions half = options();
  half.kvType = KvType::kF16;
  half.pageBytes = 256;
  validateOptions(plan(), half);
}

}  // namespace
}  // namespace mistralrs
