#include <limits>
#include <random>

#include "reference/small_plan_test.h"

using namespace mistralrs;
using namespace mistralrs::testing;

namespace {

struct Shape {
  int heads = 1, kvHeads = 1, dim = 2, window = 0;
  float scale = 1, softcap = 0;
};

// Layer 1 of 2 of group 0: q, k and v of token n are row n of the inputs.
struct AttentionPlan : SmallPlan {
  View out;
  AttentionPlan(Shape shape, int tokens, std::vector<float> q, std::vector<float> k, std::vector<float> v) {
    plan.groups = {{shape.window, shape.kvHeads, shape.dim, 2, 16}};
    const View queries = input(tokens, std::move(q)), keys = input(tokens, std::move(k)), values = input(tokens, std::move(v));
    out = buffer(shape.heads * shape.dim);
    op({.kind = OpKind::kKvWrite, .in = keys, .in2 = values, .group = 0, .layer = 1});
    op({.kind = OpKind::kAttention, .in = queries, .out = out, .heads = shape.heads, .group = 0, .layer = 1,
        .scale = shape.scale, .softcap = shape.softcap});
  }
};

std::vector<float> normalValues(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& x : values) x = normal(random);
  return values;
}

const float kLog2 = std::log(2.0f), kLog3 = std::log(3.0f);

}  // namespace

TEST(attention_is_causal_softmax_over_the_keys) {
  // Scores of query 1: ln 2 and ln 3 after scale, so weights 2/5 and 3/5.
  AttentionPlan p({.scale = 0.5f}, 2, {5, 5, 2, 0}, {kLog2, 7, kLog3, 9}, {10, 1, 20, 2});
  CHECK_ALL_NEAR(p.run(p.out, oneSequence(2, 0, {{3}})), 1e-5, 10, 1, 16, 1.6);
}

TEST(attention_caps_scores_after_the_scale) {
  // Scores 4 and 0 become 1 * tanh(4) and 0.
  AttentionPlan p({.scale = 2, .softcap = 1}, 2, {0, 0, 1, 0}, {2, 0, 0, 0}, {1, 0, 0, 0});
  const double weight = std::exp(std::tanh(4.0));
  CHECK_ALL_NEAR(p.run(p.out, oneSequence(2, 0, {{0}})), 1e-6, 1, 0, weight / (weight + 1), 0);
}

TEST(attention_shares_kv_heads_among_equal_runs_of_heads) {
  // Heads 0 and 1 read KV head 0, heads 2 and 3 read KV head 1; one key each, so the output is its value.
  AttentionPlan p({.heads = 4, .kvHeads = 2}, 1, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 1, 1, 1}, {10, 20, 30, 40});
  CHECK_ALL_NEAR(p.run(p.out, oneSequence(1, 0, {{1}})), 0, 10, 20, 10, 20, 30, 40, 30, 40);
}

TEST(attention_sees_only_the_window) {
  // Zero queries weigh all visible keys alike; window 2.
  AttentionPlan p({.window = 2}, 4, std::vector<float>(8), std::vector<float>(8), {1, 10, 2, 20, 3, 30, 4, 40});
  CHECK_ALL_NEAR(p.run(p.out, oneSequence(4, 0, {{0}})), 1e-6, 1, 10, 1.5, 15, 2.5, 25, 3.5, 35);
}

TEST(attention_both_ways_sees_what_follows_within_the_window) {
  AttentionPlan p({.window = 2}, 4, std::vector<float>(8), std::vector<float>(8), {1, 10, 2, 20, 3, 30, 4, 40});
  p.plan.ops.back().causal = false;
  CHECK_ALL_NEAR(p.run(p.out, oneSequence(4, 0, {{0}})), 1e-6, 1.5, 15, 2, 20, 3, 30, 3.5, 35);
  p.plan.groups[0].window = 0;
  CHECK_ALL_NEAR(p.run(p.out, oneSequence(4, 0, {{0}})), 1e-6, 2.5, 25, 2.5, 25, 2.5, 25, 2.5, 25);
}

TEST(attention_never_looks_at_a_page_freed_behind_the_window) {
  AttentionPlan p({.window = 4}, 16, normalValues(32, 1), normalValues(32, 2), normalValues(32, 3));
  const auto freed = p.load(), whole = p.load();
  for (Backend* backend : {freed.get(), whole.get()})
    for (int step = 0; step < 2; ++step) p.run(*backend, p.out, oneSequence(12, 12 * step, {{2, 0}}));
  // Queries 24.. see keys 21.. : page 0 of the sequence (positions 0-15) is gone.
  CHECK(p.run(*freed, p.out, oneSequence(3, 24, {{-1, 0}})) == p.run(*whole, p.out, oneSequence(3, 24, {{2, 0}})));
}

TEST(attention_in_chunks_is_the_whole_to_the_bit) {
  AttentionPlan p({.heads = 4, .kvHeads = 2}, 12, normalValues(96, 4), normalValues(48, 5), normalValues(48, 6));
  const std::vector<float> whole = p.run(p.out, oneSequence(12, 0, {{1}}));
  const auto backend = p.load();
  p.run(*backend, p.out, oneSequence(7, 0, {{3}}));
  const std::vector<float> rest = p.run(*backend, p.out, oneSequence(5, 7, {{3}}, 7));
  CHECK(std::equal(rest.begin(), rest.end(), whole.begin() + 7 * 8));
}

TEST(attention_crosses_pages_in_the_order_of_the_table) {
  AttentionPlan p({}, 16, std::vector<float>(32), std::vector<float>(32), normalValues(32, 7));
  const auto backend = p.load();
  const std::vector<float> first = p.run(*backend, p.out, oneSequence(16, 0, {{3, 1}}));
  const std::vector<float> second = p.run(*backend, p.out, oneSequence(2, 16, {{3, 1}}));
  // Equal weights: a running mean. Tokens 0 and 1 come again at positions 16 and 17, on the next page.
  for (int i = 0; i < 2; ++i) {
    const double sum = first[30 + i] * 16.0;
    CHECK_NEAR(second[i], (sum + first[i]) / 17, 1e-5);
    CHECK_NEAR(second[2 + i], (sum + 2 * first[2 + i]) / 18, 1e-5);
  }
}

TEST(a_layer_without_cache_reads_its_producers) {
  SmallPlan p;
  p.plan.groups = {{0, 1, 2, 1, 16}};
  const View k = p.input(2, {kLog2, 0, kLog3, 0}), v = p.input(2, {10, 0, 20, 0}), q = p.input(2, {0, 0, 1, 0});
  const View first = p.buffer(2), second = p.buffer(2);
  p.op({.kind = OpKind::kKvWrite, .in = k, .in2 = v, .group = 0, .layer = 0});
  p.op({.kind = OpKind::kAttention, .in = q, .out = first, .heads = 1, .group = 0, .layer = 0});
  p.op({.kind = OpKind::kAttention, .in = first, .out = second, .heads = 1, .group = 0, .layer = 0, .scale = 0});
  CHECK_ALL_NEAR(p.run(first, oneSequence(2, 0, {{0}})), 1e-5, 10, 0, 16, 0);
  CHECK_ALL_NEAR(p.run(second, oneSequence(2, 0, {{0}})), 1e-5, 10, 0, 15, 0);
}

TEST(sequences_of_a_batch_may_share_a_page_one_of_them_fills) {
  AttentionPlan p({}, 16, std::vector<float>(32), std::vector<float>(32), {1, 0, 3, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                                                           0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 18});
  Batch batch = oneSequence(16, 0, {{2}});  // sequence 0 fills page 2; sequence 1 reads it and continues on page 0
  batch.tokens.push_back(3);
  batch.positions.push_back(16);
  batch.queryStart = {0, 16, 17};
  batch.kvLength = {16, 17};
  batch.pageTables = {{{0, 1, 3}, {2, 2, 0}}};
  p.options.maxTokens = 17;
  const std::vector<float> out = p.run(p.out, batch);
  CHECK_NEAR(out[15 * 2], 1, 1e-6);
  CHECK_NEAR(out[16 * 2], 23.0 / 17, 1e-6);
  CHECK_NEAR(out[16 * 2 + 1], 18.0 / 17, 1e-6);
}

TEST(poison_shows_reads_of_slots_never_written) {
  AttentionPlan p({}, 1, {1, 1}, {1, 1}, {2, 3});
  CHECK_ALL_NEAR(p.run(p.out, oneSequence(1, 0, {{0}})), 0, 2, 3);
  for (const KvType type : {KvType::kF32, KvType::kF16}) {
    p.options.kvType = type;
    CHECK(std::isnan(p.run(p.out, oneSequence(1, 1, {{0}}))[0]));  // position 0 was never stored
  }
  p.options.poison = false;
  CHECK(std::isfinite(p.run(p.out, oneSequence(1, 1, {{0}}))[0]));
}

TEST(f16_caches_round_keys_and_values) {
  AttentionPlan p({}, 1, {1, 1}, {1, 1}, {2049, 0.1f});  // above 2048 binary16 counts in twos; ties to even
  p.options.kvType = KvType::kF16;
  CHECK_ALL_NEAR(p.run(p.out, oneSequence(1, 0, {{0}})), 0, 2048, 0.0999755859375);
}

TEST(copied_pages_hold_the_same_keys) {
  AttentionPlan p({}, 4, normalValues(8, 8), normalValues(8, 9), normalValues(8, 10));
  const auto backend = p.load();
  p.run(*backend, p.out, oneSequence(3, 0, {{1}}));
  backend->copyPage(1, 3);
  const std::vector<float> original = p.run(*backend, p.out, oneSequence(1, 3, {{1}}, 3));
  CHECK(p.run(*backend, p.out, oneSequence(1, 3, {{3}}, 3)) == original);
  CHECK(std::isfinite(original[0]));
}
