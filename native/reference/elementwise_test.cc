#include "reference/small_plan_test.h"

using namespace mistralrs;
using namespace mistralrs::testing;

TEST(embed_scales_the_row_of_the_token) {
  SmallPlan p;
  const View out = p.buffer(3);
  p.op({.kind = OpKind::kEmbed, .out = out, .weights = {p.weight(3, {1, 2, 3, 4, 5, 6, -7, 8, 9})}, .scale = 0.5f});
  Batch batch = oneSequence(3, 0);
  batch.tokens = {2, 0, 2};
  CHECK_ALL_NEAR(p.run(out, batch), 0, -3.5, 4, 4.5, 0.5, 1, 1.5, -3.5, 4, 4.5);
}

TEST(add_scales_the_sum_and_may_write_over_an_input) {
  SmallPlan p;
  const View a = p.input(2, {1, 2, 3, 4}), b = p.input(2, {10, 20, 30, 40});
  p.op({.kind = OpKind::kAdd, .in = a, .in2 = b, .out = b, .scale = 2});
  CHECK_ALL_NEAR(p.run(b, oneSequence(2, 0)), 0, 22, 44, 66, 88);
}

TEST(views_are_columns_of_a_wider_buffer) {
  SmallPlan p;
  const View x = p.input(2, {1, 2, 3, 4, 5, 6, 7, 8}), left{x.buffer, 0, 2}, right{x.buffer, 2, 2};
  p.op({.kind = OpKind::kAdd, .in = left, .in2 = right, .out = right});
  CHECK_ALL_NEAR(p.run(x, oneSequence(2, 0)), 0, 1, 2, 4, 6, 5, 6, 12, 14);
}

TEST(scale_multiplies_by_the_first_value_of_the_weight) {
  SmallPlan p;
  const View x = p.input(1, {1, -2, 4});
  p.op({.kind = OpKind::kScale, .in = x, .out = x, .weights = {p.weight(1, {0.25f})}});
  CHECK_ALL_NEAR(p.run(x, oneSequence(1, 0)), 0, 0.25, -0.5, 1);
}

TEST(act_mul_knows_silu_and_gelu_tanh) {
  SmallPlan p;
  const View gate = p.input(1, {-1, 0, 2, 100, -100}), up = p.input(1, {2, 3, 1, 1, 1}), silu = p.buffer(5), gelu = p.buffer(5);
  p.op({.kind = OpKind::kActMul, .in = gate, .in2 = up, .out = silu, .act = Act::kSilu});
  p.op({.kind = OpKind::kActMul, .in = gate, .in2 = up, .out = gelu, .act = Act::kGeluTanh});
  CHECK_ALL_NEAR(p.run(silu, oneSequence(1, 0)), 1e-6, -0.537882843, 0, 1.761594156, 100, 0);
  CHECK_ALL_NEAR(p.run(gelu, oneSequence(1, 0)), 1e-6, -0.317616019, 0, 1.954597694, 100, 0);
}

TEST(softcap_bends_and_bounds) {
  SmallPlan p;
  const View x = p.input(1, {0, 30, -30, 1e6f, 0.001f});
  p.op({.kind = OpKind::kSoftcap, .in = x, .out = x, .softcap = 30});
  CHECK_ALL_NEAR(p.run(x, oneSequence(1, 0)), 2e-6, 0, 22.84782467, -22.84782467, 30, 0.001);
}

TEST(select_rows_takes_any_rows_in_any_order) {
  SmallPlan p;
  const View x = p.input(3, {1, 2, 3, 4, 5, 6}), out = p.buffer(2, RowSymbol::kLogitRows);
  p.op({.kind = OpKind::kSelectRows, .in = x, .out = out});
  p.plan.logits = out.buffer;
  const auto backend = p.load();
  Batch batch = oneSequence(3, 0);
  batch.logitRows = {2, 0, 2};
  CHECK_ALL_NEAR(p.run(*backend, out, batch), 0, 5, 6, 1, 2, 5, 6);
  CHECK_EQ(backend->logits(1)[0], 1.0f);
  CHECK_EQ(backend->logits(2)[1], 6.0f);
  batch.logitRows = {};
  CHECK_EQ(p.run(*backend, out, batch).size(), size_t{0});
}
