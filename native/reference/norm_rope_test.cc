#include "reference/small_plan_test.h"

using namespace mistralrs;
using namespace mistralrs::testing;

TEST(rms_norm_divides_by_the_root_of_the_mean_square) {
  SmallPlan p;
  const View x = p.input(2, {3, 4, 0, 0, 1, 1, 1, 1}), out = p.buffer(4);
  // Means of squares: 6.25 and 1.
  p.op({.kind = OpKind::kRmsNorm, .in = x, .out = out, .norm = {true, p.weight(1, {1, 2, 3, 4}), 0, 0}, .heads = 1});
  CHECK_ALL_NEAR(p.run(out, oneSequence(2, 0)), 1e-6, 1.2, 3.2, 0, 0, 1, 2, 3, 4);
}

TEST(rms_norm_has_eps_inside_the_root_and_an_offset_on_the_weight) {
  SmallPlan p;
  const View x = p.input(1, {1, 1});
  p.op({.kind = OpKind::kRmsNorm, .in = x, .out = x, .norm = {true, p.weight(1, {0, 0.5f}), 3, 1}, .heads = 1});
  CHECK_ALL_NEAR(p.run(x, oneSequence(1, 0)), 1e-7, 0.5, 0.75);
}

TEST(rms_norm_takes_heads_apart_with_one_weight) {
  SmallPlan p;
  const View x = p.input(1, {3, 4, 30, 40}), plain = p.buffer(4);
  const double r = std::sqrt(12.5);
  p.op({.kind = OpKind::kRmsNorm, .in = x, .out = plain, .norm = {true, -1, 0, 0}, .heads = 2});
  p.op({.kind = OpKind::kRmsNorm, .in = x, .out = x, .norm = {true, p.weight(1, {1, 10}), 0, 0}, .heads = 2});
  CHECK_ALL_NEAR(p.run(plain, oneSequence(1, 0)), 1e-6, 3 / r, 4 / r, 3 / r, 4 / r);
  CHECK_ALL_NEAR(p.run(x, oneSequence(1, 0)), 1e-5, 3 / r, 40 / r, 3 / r, 40 / r);
}

TEST(rms_norm_adds_the_residual_then_scales) {
  SmallPlan p;
  const View x = p.input(1, {3, 4, 0, 0}), h = p.input(1, {10, 20, 30, 40});
  p.op({.kind = OpKind::kRmsNorm, .in = x, .out = h, .residual = h, .norm = {true, -1, 0, 0}, .scaleWeight = p.weight(1, {2}), .heads = 1});
  CHECK_ALL_NEAR(p.run(h, oneSequence(1, 0)), 1e-5, 22.4, 43.2, 60, 80);
}

TEST(rope_rotates_pairs_half_a_table_apart) {
  SmallPlan p;
  p.plan.ropes = {{4, 2, {1, 0.5f}}};  // angles at position 3: 3 and 1.5; the last two of six columns are copied
  const View x = p.input(1, {1, 2, 3, 4, 5, 6}), out = p.buffer(6);
  p.op({.kind = OpKind::kRope, .in = x, .out = out, .rope = 0, .heads = 1});
  const double c0 = 2 * std::cos(3.0), s0 = 2 * std::sin(3.0), c1 = 2 * std::cos(1.5), s1 = 2 * std::sin(1.5);
  CHECK_ALL_NEAR(p.run(out, oneSequence(1, 3)), 1e-6, c0 - 3 * s0, 2 * c1 - 4 * s1, 3 * c0 + s0, 4 * c1 + 2 * s1, 5, 6);
}

TEST(rope_keeps_pairs_of_frequency_zero_and_position_zero) {
  SmallPlan p;
  p.plan.ropes = {{4, 1, {1, 0}}};
  const View x = p.input(1, {1, 2, 3, 4});
  p.op({.kind = OpKind::kRope, .in = x, .out = x, .rope = 0, .heads = 1});
  CHECK_ALL_NEAR(p.run(x, oneSequence(1, 0)), 0, 1, 2, 3, 4);
  CHECK_ALL_NEAR(p.run(x, oneSequence(1, 1)), 1e-6, std::cos(1.0) - 3 * std::sin(1.0), 2, 3 * std::cos(1.0) + std::sin(1.0), 4);
}

TEST(rope_angles_are_products_in_float32) {
  SmallPlan p;
  p.plan.ropes = {{2, 1, {0.749894202f}}};
  const View x = p.input(1, {1, 0});
  p.op({.kind = OpKind::kRope, .in = x, .out = x, .rope = 0, .heads = 1});
  const volatile float angle = 100001.0f * 0.749894202f;
  CHECK_ALL_NEAR(p.run(x, oneSequence(1, 100001)), 1e-7, std::cos(static_cast<double>(angle)), std::sin(static_cast<double>(angle)));
}

TEST(norm_rope_is_rms_norm_then_rope_to_the_bit) {
  SmallPlan p;
  p.plan.ropes = {{4, 1, {1, 0.3f}}};
  const View x = p.input(2, {1, 2, 3, 4, 0.1f, 0.2f, -0.3f, 0.7f, 5, 6, 7, 8, -1, 3, -2, 9}), fused = p.buffer(8), apart = p.buffer(8);
  const Norm norm{true, p.weight(1, {0.5f, 1.5f, 2, 0.1f}), 1e-5f, 1};
  p.op({.kind = OpKind::kNormRope, .in = x, .out = fused, .norm = norm, .rope = 0, .heads = 2});
  p.op({.kind = OpKind::kRmsNorm, .in = x, .out = apart, .norm = norm, .heads = 2});
  p.op({.kind = OpKind::kRope, .in = apart, .out = apart, .rope = 0, .heads = 2});
  CHECK(p.run(fused, oneSequence(2, 7)) == p.run(apart, oneSequence(2, 7)));
}
