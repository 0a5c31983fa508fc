// The CPU backend against the reference backend, and bitwise against itself however the work is cut.
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "cpu/kernel_library.h"
#include "plan/backend.h"
#include "plan/bind_weights.h"
#include "testing/testing.h"

using namespace mistralrs;

namespace {

// A decoder with every op: two layers of full and two of windowed attention, one of which shares its producer's cache.
class TinyModel {
 public:
  static constexpr int kHidden = 256, kHeads = 6, kKvHeads = 2, kHeadDim = 40, kInner = 512, kVocab = 333, kWindow = 30, kPageTokens = 16;
  static constexpr int64_t kPageBytes = int64_t{2} * kPageTokens * kKvHeads * kHeadDim * 2 * 4;

  TinyModel() {
    plan_.vocab = kVocab;
    plan_.groups = {{0, kKvHeads, kHeadDim, 2, kPageTokens}, {kWindow, kKvHeads, kHeadDim, 1, kPageTokens}};
    RopeTable rope{32, 1.25f, {}};
    for (int i = 0; i < 16; ++i) rope.invFreq.push_back(std::pow(10000.0f, -static_cast<float>(i) / 16));
    plan_.ropes = {rope};
    build();
  }
  const Plan& plan() const { return plan_; }
  const std::vector<Weight>& weights() const { return weights_; }

 private:
  int weight(int64_t rows, int64_t cols, std::vector<DType> types, float size = 1) {
    Weight w;
    w.name = format("w%zu", weights_.size());
    w.rows = rows;
    w.cols = cols;
    std::normal_distribution<float> normal(0, size / std::sqrt(static_cast<float>(rows == 1 ? 1 : cols)));
    int64_t row = 0;
    for (size_t i = 0; i < types.size(); ++i) {
      // Inner ends that are no multiple of a panel.
      const int64_t count = i + 1 == types.size() ? rows - row : rows / static_cast<int64_t>(types.size()) + 3;
      auto bytes = std::make_shared<std::vector<uint8_t>>(static_cast<size_t>(count * rowBytes(types[i], cols)));
      for (int64_t r = 0; r < count; ++r) {
        std::vector<float> values(static_cast<size_t>(cols));
        for (float& x : values) x = normal(random_) + (rows == 1 ? 1.0f : 0.0f);
        void* to = bytes->data() + r * rowBytes(types[i], cols);
        if (types[i] == DType::kF32) std::memcpy(to, values.data(), values.size() * 4);
        else quantizeRow(types[i], values.data(), cols, to);
      }
      storage_.push_back(bytes);
      w.parts.push_back({nullptr, bytes->data(), types[i], count, cols, 0, 0});
      row += count;
    }
    plan_.weights.push_back({w.name, rows, cols});
    weights_.push_back(w);
    return static_cast<int>(weights_.size()) - 1;
  }
  View buffer(int64_t width, RowSymbol rows = RowSymbol::kTokens) {
    int64_t& arena = plan_.arenaWidth[static_cast<int>(rows)];
    plan_.buffers.push_back({format("b%zu", plan_.buffers.size()), rows, width, arena});
    arena += (width + 15) / 16 * 16;
    return {static_cast<int>(plan_.buffers.size()) - 1, 0, width};
  }
  static View part(View view, int64_t begin, int64_t end) { return {view.buffer, view.column + begin, end - begin}; }
  Op& op(OpKind kind, View in, View out) {
    plan_.ops.emplace_back();
    plan_.ops.back().kind = kind;
    plan_.ops.back().in = in;
    plan_.ops.back().out = out;
    return plan_.ops.back();
  }
  Norm norm(int64_t width) { return {true, weight(1, width, {DType::kF32}, 0.1f), 1e-5f, 0}; }

  void build() {
    const int q = kHeads * kHeadDim, kv = kKvHeads * kHeadDim;
    const View h = buffer(kHidden), qkv = buffer(q + 2 * kv), attended = buffer(q), inner = buffer(kInner), up = buffer(kInner), x = buffer(kHidden);
    const int embedding = weight(kVocab, kHidden, {DType::kQ6_K, DType::kQ8_0}, 16);
    Op& embed = op(OpKind::kEmbed, {}, h);
    embed.weights = {embedding};
    embed.scale = 0.5f;
    for (int i = 0; i < 4; ++i) layer(i, h, qkv, attended, inner, up, x);
    const View rows = buffer(kHidden, RowSymbol::kLogitRows), logits = buffer(kVocab, RowSymbol::kLogitRows);
    op(OpKind::kSelectRows, h, rows);
    Op& head = op(OpKind::kLinear, rows, logits);
    head.weights = {embedding};
    head.norm = {true, -1, 1e-6f, 0};
    op(OpKind::kSoftcap, logits, logits).softcap = 20;
    plan_.logits = logits.buffer;
  }
  void layer(int i, View h, View qkv, View attended, View inner, View up, View x) {
    const int q = kHeads * kHeadDim, kv = kKvHeads * kHeadDim;
    const View queries = part(qkv, 0, q), keys = part(qkv, q, q + kv), values = part(qkv, q + kv, q + 2 * kv);
    const int group = i == 2, cacheLayer = i == 1 || i == 3;
    Op* o = &op(OpKind::kLinear, h, qkv);
    o->weights = {weight(q, kHidden, {DType::kQ4_K, DType::kF32}), weight(kv, kHidden, {DType::kQ8_0}), weight(kv, kHidden, {DType::kF32})};
    o->biases = {weight(1, q, {DType::kF32}), -1, weight(1, kv, {DType::kF32})};
    o->norm = norm(kHidden);
    o = &op(OpKind::kNormRope, queries, queries);
    o->norm = norm(kHeadDim);
    o->norm.offset = 1;
    o->rope = 0;
    o->heads = kHeads;
    if (i < 3) {
      o = &op(OpKind::kRope, keys, keys);
      o->rope = 0;
      o->heads = kKvHeads;
      o = &op(OpKind::kKvWrite, keys, {});
      o->in2 = values;
      o->group = group;
      o->layer = group ? 0 : cacheLayer;
    }
    o = &op(OpKind::kAttention, queries, attended);
    o->group = group;
    o->layer = group ? 0 : cacheLayer;
    o->heads = kHeads;
    o->scale = 0.2f;
    o->softcap = i == 1 ? 15.0f : 0.0f;
    o = &op(OpKind::kLinear, attended, i == 0 ? x : h);
    o->weights = {weight(kHidden, q, {DType::kF32})};
    if (i > 0) o->residual = h;
    if (i == 0) {
      o = &op(OpKind::kRmsNorm, x, h);
      o->norm = norm(kHidden);
      o->heads = 1;
      o->residual = h;
      o->scaleWeight = weight(1, 1, {DType::kF32}, 0.1f);
    }
    if (i == 1) {
      o = &op(OpKind::kLinear, h, inner);
      o->weights = {weight(kInner, kHidden, {DType::kQ5_0})};
      o = &op(OpKind::kLinear, h, up);
      o->weights = {weight(kInner, kHidden, {DType::kQ6_K})};
      o = &op(OpKind::kActMul, inner, inner);
      o->in2 = up;
      o->act = Act::kGeluTanh;
    } else {
      o = &op(OpKind::kGatedLinear, h, inner);
      o->weights = {weight(kInner, kHidden, i == 2 ? std::vector{DType::kQ8_0, DType::kQ4_K} : std::vector{DType::kQ4_K}),
                    weight(kInner, kHidden, {DType::kQ5_0})};
      o->norm = norm(kHidden);
    }
    o = &op(OpKind::kLinear, inner, x);
    o->weights = {weight(kHidden, kInner, {DType::kQ8_0}, 0.5f)};
    o = &op(OpKind::kScale, x, x);
    o->weights = {weight(1, 1, {DType::kF32}, 0.1f)};
    o = &op(OpKind::kAdd, h, h);
    o->in2 = x;
    o->scale = 0.75f;
  }

  Plan plan_;
  std::vector<Weight> weights_;
  std::vector<std::shared_ptr<std::vector<uint8_t>>> storage_;
  std::mt19937 random_{11};
};

const TinyModel& model() {
  static const TinyModel instance;
  return instance;
}

constexpr int kMaxTokens = 256, kPagesOfSequence = kMaxTokens / TinyModel::kPageTokens;

BackendOptions options(int threads, const std::string& isa, KvType type = KvType::kF32) {
  BackendOptions o;
  o.threads = threads;
  o.maxTokens = kMaxTokens;
  o.maxSequences = 4;
  o.maxLogitRows = kMaxTokens;
  o.numPages = 4 * 2 * kPagesOfSequence;
  o.pageBytes = TinyModel::kPageBytes;
  o.kvType = type;
  o.poison = true;
  o.isa = isa;
  return o;
}

std::unique_ptr<Backend> cpu(int threads, const std::string& isa = {}, KvType type = KvType::kF32) {
  return makeCpuBackend(model().plan(), model().weights(), options(threads, isa, type), {});
}

int32_t tokenAt(int sequence, int position) { return (position * 31 + sequence * 17 + position * position % 7) % TinyModel::kVocab; }

struct Piece {
  int sequence, begin, end;
};

// Batch of pieces of sequences, logits of every row. Sequence s owns pages 2 s n .. of which the window group has the second n.
Batch batchOf(const std::vector<Piece>& pieces) {
  Batch batch;
  batch.pageTables.resize(2);
  batch.queryStart = {0};
  for (Batch::PageTable& table : batch.pageTables) table.start = {0};
  for (const Piece& piece : pieces) {
    for (int p = piece.begin; p < piece.end; ++p) {
      batch.logitRows.push_back(batch.numTokens());
      batch.tokens.push_back(tokenAt(piece.sequence, p));
      batch.positions.push_back(p);
    }
    batch.queryStart.push_back(batch.numTokens());
    batch.kvLength.push_back(piece.end);
    for (int group = 0; group < 2; ++group) {
      Batch::PageTable& table = batch.pageTables[group];
      for (int page = 0; page * TinyModel::kPageTokens < piece.end; ++page) {
        const bool gone = group == 1 && (page + 1) * TinyModel::kPageTokens <= piece.begin - TinyModel::kWindow + 1;
        table.pages.push_back(gone ? -1 : (2 * piece.sequence + group) * kPagesOfSequence + page * 5 % kPagesOfSequence);
      }
      table.start.push_back(static_cast<int32_t>(table.pages.size()));
    }
  }
  return batch;
}

// Logits of every position of the pieces, step after step.
std::vector<std::vector<float>> runSteps(Backend& backend, const std::vector<std::vector<Piece>>& steps, int sequence) {
  std::vector<std::vector<float>> logits;
  const std::atomic<bool> interrupt{false};
  for (const std::vector<Piece>& pieces : steps) {
    const Batch batch = batchOf(pieces);
    CHECK(backend.forward(batch, static_cast<int>(model().plan().ops.size()) - 1, interrupt));
    int row = 0;
    for (const Piece& piece : pieces)
      for (int p = piece.begin; p < piece.end; ++p, ++row)
        if (piece.sequence == sequence) logits.emplace_back(backend.logits(row), backend.logits(row) + TinyModel::kVocab);
  }
  return logits;
}

std::vector<std::vector<Piece>> chunks(int sequence, int end, int size) {
  std::vector<std::vector<Piece>> steps;
  for (int begin = 0; begin < end; begin += size) steps.push_back({{sequence, begin, std::min(end, begin + size)}});
  return steps;
}

bool same(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(a[i].data(), b[i].data(), a[i].size() * 4) != 0) return false;
  return true;
}

bool isFinite(const std::vector<std::vector<float>>& logits) {
  for (const std::vector<float>& row : logits)
    for (float x : row)
      if (!std::isfinite(x)) return false;
  return true;
}

}  // namespace

TEST(cpu_matches_reference) {
  const auto reference = makeReferenceBackend(model().plan(), model().weights(), options(1, ""), {});
  const auto expected = runSteps(*reference, chunks(0, 150, 150), 0);
  for (const std::string& isa : availableIsas()) {
    const auto got = runSteps(*cpu(2, isa), chunks(0, 150, 150), 0);
    double error = 0, power = 0, worst = 0;
    for (size_t i = 0; i < expected.size(); ++i)
      for (size_t j = 0; j < expected[i].size(); ++j) {
        const double difference = double{got[i][j]} - expected[i][j];
        error += difference * difference;
        power += double{expected[i][j]} * expected[i][j];
        worst = std::fabs(difference) <= worst ? worst : std::fabs(difference);
      }
    // Activations of quantized weights have 8 bits: about 0.4 % noise in each linear.
    const double relative = std::sqrt(error / power);
    if (!(relative < 0.03)) testing::fail(__FILE__, __LINE__, format("%s: relative error %g, worst %g", isa.c_str(), relative, worst));
  }
}

TEST(cpu_logits_do_not_depend_on_threads_chunks_or_company) {
  for (const std::string& isa : availableIsas())
    for (KvType type : {KvType::kF32, KvType::kF16}) {
      const auto expected = runSteps(*cpu(1, isa, type), chunks(0, 200, 200), 0);
      CHECK(isFinite(expected));
      for (int threads : {2, 3, 7}) CHECK(same(expected, runSteps(*cpu(threads, isa, type), chunks(0, 200, 200), 0)));
      for (int size : {1, 7, 128}) CHECK(same(expected, runSteps(*cpu(2, isa, type), chunks(0, 200, size), 0)));
      // Prefill of one sequence between decodes of others.
      const auto together = cpu(3, isa, type);
      runSteps(*together, {{{1, 0, 40}, {2, 0, 9}}}, 0);
      std::vector<std::vector<Piece>> steps;
      for (int i = 0; i < 20; ++i) steps.push_back({{1, 40 + i, 41 + i}, {0, i * 10, i * 10 + 10}, {2, 9 + i, 10 + i}});
      CHECK(same(expected, runSteps(*together, steps, 0)));
    }
}

TEST(cpu_interrupt_stops_and_leaves_the_backend_usable) {
  const auto backend = cpu(2);
  const std::atomic<bool> interrupt{true};
  const Batch batch = batchOf({{0, 0, 5}});
  CHECK(!backend->forward(batch, static_cast<int>(model().plan().ops.size()) - 1, interrupt));
  CHECK(same(runSteps(*cpu(2), chunks(0, 30, 30), 0), runSteps(*backend, chunks(0, 30, 30), 0)));
}

TEST(cpu_copied_page_continues_a_sequence) {
  const auto backend = cpu(2);
  const auto expected = runSteps(*backend, chunks(0, 48, 16), 0);
  const Batch from = batchOf({{0, 0, 32}}), to = batchOf({{3, 0, 32}});
  for (int group = 0; group < 2; ++group)
    for (size_t i = 0; i < from.pageTables[group].pages.size(); ++i)
      backend->copyPage(from.pageTables[group].pages[i], to.pageTables[group].pages[i]);
  Batch next = batchOf({{3, 32, 48}});
  for (int i = 0; i < 16; ++i) next.tokens[i] = tokenAt(0, 32 + i);
  const std::atomic<bool> interrupt{false};
  CHECK(backend->forward(next, static_cast<int>(model().plan().ops.size()) - 1, interrupt));
  for (int i = 0; i < 16; ++i) CHECK(std::memcmp(backend->logits(i), expected[32 + i].data(), TinyModel::kVocab * 4) == 0);
}

TEST(cpu_forward_can_stop_after_an_op) {
  const auto backend = cpu(2);
  const std::atomic<bool> interrupt{false};
  CHECK(backend->forward(batchOf({{0, 0, 3}}), 0, interrupt));
  const std::vector<float> embedded = backend->readBuffer(0);
  CHECK_EQ(embedded.size(), size_t{3} * TinyModel::kHidden);
  std::vector<float> row(TinyModel::kHidden);
  model().weights()[0].readRow(tokenAt(0, 2), row.data());
  for (int i = 0; i < TinyModel::kHidden; ++i) CHECK_EQ(embedded[2 * TinyModel::kHidden + i], row[i] * 0.5f);
}

TEST(cpu_refuses_weights_that_are_not_finite) {
  for (size_t i : {size_t{0}, size_t{1}, model().weights().size() - 1}) {  // an embedding, a matrix with a quantized part, a factor
    std::vector<Weight> weights = model().weights();
    WeightPart& part = weights[i].parts.back();
    std::vector<uint8_t> bytes(part.data, part.data + part.rows * rowBytes(part.type, part.cols));
    std::fill(bytes.end() - info(part.type).blockBytes, bytes.end(), 0xff);
    part.data = bytes.data();
    CHECK_ERROR("invalid_weights", format("row %lld", static_cast<long long>(weights[i].rows - 1)),
                makeCpuBackend(model().plan(), weights, options(2, ""), {}));
  }
}

TEST(cpu_reports_load_progress_and_stops_when_it_throws) {
  int64_t last = 0;
  makeCpuBackend(model().plan(), model().weights(), options(2, ""), [&](int64_t done) {
    CHECK(done >= last);
    last = done;
  });
  CHECK_EQ(last, storedBytes(model().weights()));
  CHECK_ERROR("interrupted", "enough", makeCpuBackend(model().plan(), model().weights(), options(2, ""), [](int64_t) {
    throw Error("interrupted", "enough");
  }));
}

TEST(cpu_isa_must_exist) {
  CHECK_EQ(availableIsas().back(), "generic");
  CHECK_ERROR("invalid_argument", "avx1024", cpu(1, "avx1024"));
  for (const std::string& isa : availableIsas()) CHECK_EQ(std::string(cpu(1, isa)->isa()), isa);
}
