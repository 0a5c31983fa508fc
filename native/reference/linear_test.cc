#include <algorithm>
#include <cstring>
#include <random>

#include "reference/linear_rows.h"
#include "reference/small_plan_test.h"

using namespace mistralrs;
using namespace mistralrs::testing;

namespace {

std::vector<float> normalValues(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& x : values) x = normal(random);
  return values;
}

}  // namespace

TEST(linear_stacks_weights_with_a_bias_each) {
  SmallPlan p;
  const View x = p.input(2, {1, 2, 3, -1, 0, 1}), out = p.buffer(3);
  const int two = p.weight(2, {1, 1, 1, 1, 0, -1}), one = p.weight(1, {0, 2, 0}), bias = p.weight(1, {100, 200});
  p.op({.kind = OpKind::kLinear, .in = x, .out = out, .weights = {two, one}, .biases = {bias, -1}});
  CHECK_ALL_NEAR(p.run(out, oneSequence(2, 0)), 0, 106, 198, 4, 100, 198, 0);
}

TEST(linear_adds_to_a_residual_it_writes_over) {
  SmallPlan p;
  const View x = p.input(2, {1, 2, 3, 4}), h = p.input(2, {10, 20, 30, 40});
  p.op({.kind = OpKind::kLinear, .in = x, .out = h, .residual = h, .weights = {p.weight(2, {1, 0, 1, 1})}});
  CHECK_ALL_NEAR(p.run(h, oneSequence(2, 0)), 0, 11, 23, 33, 47);
}

TEST(linear_with_norm_and_residual_is_the_unfused_ops_to_the_bit) {
  SmallPlan p;
  const View x = p.input(3, normalValues(3 * 37, 1)), h = p.input(3, normalValues(3 * 70, 2));
  const View normed = p.buffer(37), fused = p.buffer(70), apart = p.buffer(70);
  const Norm norm{true, p.weight(1, normalValues(37, 3)), 1e-6f, 1};
  const int weight = p.weight(70, normalValues(70 * 37, 4));
  p.op({.kind = OpKind::kLinear, .in = x, .out = fused, .residual = h, .weights = {weight}, .norm = norm});
  p.op({.kind = OpKind::kRmsNorm, .in = x, .out = normed, .norm = norm, .heads = 1});
  p.op({.kind = OpKind::kLinear, .in = normed, .out = apart, .weights = {weight}});
  p.op({.kind = OpKind::kAdd, .in = apart, .in2 = h, .out = apart});
  CHECK(p.run(fused, oneSequence(3, 0)) == p.run(apart, oneSequence(3, 0)));
}

TEST(gated_linear_multiplies_the_activated_gate_with_up) {
  SmallPlan p;
  const View x = p.input(1, {1, 2}), out = p.buffer(2);
  const int gate = p.weight(2, {-1, 0, 0, 1}), up = p.weight(2, {2, 0, 0, 0.5f});  // gates -1, 2; ups 2, 1
  p.op({.kind = OpKind::kGatedLinear, .in = x, .out = out, .weights = {gate, up}, .act = Act::kSilu});
  CHECK_ALL_NEAR(p.run(out, oneSequence(1, 0)), 1e-6, -0.537882843, 1.761594156);
}

TEST(gated_linear_is_two_linears_and_act_mul_to_the_bit) {
  SmallPlan p;
  const View x = p.input(2, normalValues(2 * 50, 5)), fused = p.buffer(65), g = p.buffer(65), u = p.buffer(65);
  const Norm norm{true, -1, 1e-6f, 0};
  const int gate = p.weight(65, normalValues(65 * 50, 6)), up = p.weight(65, normalValues(65 * 50, 7));
  p.op({.kind = OpKind::kGatedLinear, .in = x, .out = fused, .weights = {gate, up}, .norm = norm, .act = Act::kGeluTanh});
  p.op({.kind = OpKind::kLinear, .in = x, .out = g, .weights = {gate}, .norm = norm});
  p.op({.kind = OpKind::kLinear, .in = x, .out = u, .weights = {up}, .norm = norm});
  p.op({.kind = OpKind::kActMul, .in = g, .in2 = u, .out = g, .act = Act::kGeluTanh});
  CHECK(p.run(fused, oneSequence(2, 0)) == p.run(g, oneSequence(2, 0)));
}

TEST(a_row_has_the_same_bits_in_any_batch_and_on_any_threads) {
  SmallPlan p;
  const View x = p.input(5, normalValues(5 * 100, 8)), out = p.buffer(200);
  p.op({.kind = OpKind::kLinear, .in = x, .out = out, .weights = {p.weight(200, normalValues(200 * 100, 9))}});
  const std::vector<float> all = p.run(out, oneSequence(5, 0));
  p.options.threads = 1;
  CHECK(p.run(out, oneSequence(5, 0)) == all);
  const std::vector<float> third = p.run(out, oneSequence(1, 2, {}, 2));
  CHECK(std::equal(third.begin(), third.end(), all.begin() + 400));
}

TEST(linear_sees_quantized_weights_and_embed_the_stored_ones) {
  SmallPlan p;
  const int table = p.weight(4, normalValues(4 * 64, 10));
  p.weights[table].quantize = true;  // Q8_0
  const View x = p.buffer(64), out = p.buffer(4);
  p.op({.kind = OpKind::kEmbed, .out = x, .weights = {table}});
  p.op({.kind = OpKind::kLinear, .in = x, .out = out, .weights = {table}});
  const std::vector<float> stored = p.run(x, oneSequence(4, 0)), got = p.run(out, oneSequence(4, 0));
  for (int row = 0; row < 4; ++row) {
    uint8_t blocks[2 * 34];
    float seen[64];
    quantizeRow(DType::kQ8_0, stored.data() + row * 64, 64, blocks);
    dequantizeRow(DType::kQ8_0, blocks, 64, seen);
    double expected = 0;
    for (int i = 0; i < 64; ++i) expected += static_cast<double>(stored[i]) * seen[i];
    CHECK_NEAR(got[row], expected, 1e-5);
    CHECK(std::memcmp(seen, stored.data() + row * 64, sizeof seen) != 0);
  }
}

TEST(linear_rows_are_the_same_kept_or_read_again) {
  SmallPlan p;
  const View x = p.input(1, normalValues(8, 11)), out = p.buffer(6);
  const int weight = p.weight(6, normalValues(48, 12));
  p.op({.kind = OpKind::kLinear, .in = x, .out = out, .weights = {weight}});
  int64_t done = 0;
  const reference::LinearRows kept(p.plan, p.weights, 2, [&](int64_t bytes) { done = bytes; });
  const reference::LinearRows read(p.plan, p.weights, 2, {}, 0);
  CHECK_EQ(done, 8 * 4 + 48 * 4);
  CHECK_EQ(kept.bytes(), 48 * 4);
  std::vector<float> unused, scratch;
  for (int row = 0; row < 6; ++row) {
    const float* values = kept.read(weight, row, unused);
    CHECK(std::equal(values, values + 8, read.read(weight, row, scratch)));
  }
  CHECK(unused.empty());
}
