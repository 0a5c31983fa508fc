// Row-wise kernels of every variant against float64.
#include "cpu/kernels/kernel_test.h"
#include "plan/plan.h"

using namespace mistralrs;
using namespace mistralrs::testing;

namespace {

const int64_t kSizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 63, 64, 65, 160, 576};

double relativeError(double got, double expected) { return std::fabs(got - expected) / (std::fabs(expected) + 1e-30); }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double geluTanh(double x) { return x * sigmoid(2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)); }

}  // namespace

TEST(rms_norm_matches_float64) {
  for (const KernelTable* kernels : variants())
    for (const int64_t n : kSizes)
      for (const bool weighted : {false, true}) {
        const std::vector<float> x = randomFloats(n, 1), w = randomFloats(n, 2);
        std::vector<float> out(static_cast<size_t>(n + 1), 7);
        const float offset = weighted ? 1 : 0;
        kernels->rmsNorm(x.data(), weighted ? w.data() : nullptr, n, 1e-5f, offset, out.data());
        double squares = 0;
        for (const float v : x) squares += static_cast<double>(v) * v;
        for (size_t i = 0; i < x.size(); ++i) {
          const double factor = weighted ? static_cast<double>(w[i]) + 1 : 1;
          CHECK_NEAR(out[i], x[i] / std::sqrt(squares / static_cast<double>(n) + 1e-5) * factor, 3e-6);
        }
        CHECK_EQ(out[x.size()], 7.0f);
        std::vector<float> inPlace = x;
        kernels->rmsNorm(inPlace.data(), weighted ? w.data() : nullptr, n, 1e-5f, offset, inPlace.data());
        CHECK(std::memcmp(inPlace.data(), out.data(), x.size() * 4) == 0);
      }
}

TEST(rope_matches_float64) {
  for (const KernelTable* kernels : variants())
    for (const int64_t dim : {2, 6, 30, 32, 64, 96, 128}) {
      const auto half = static_cast<size_t>(dim / 2);
      const std::vector<float> x = randomFloats(dim, 1), c = randomFloats(dim / 2, 2), s = randomFloats(dim / 2, 3);
      std::vector<float> out = x;
      kernels->rope(out.data(), c.data(), s.data(), dim, out.data());
      for (size_t i = 0; i < half; ++i) {
        CHECK_NEAR(out[i], double{x[i]} * c[i] - double{x[i + half]} * s[i], 2e-6);
        CHECK_NEAR(out[i + half], double{x[i + half]} * c[i] + double{x[i]} * s[i], 2e-6);
      }
    }
}

TEST(elementwise_ops_match_float64) {
  for (const KernelTable* kernels : variants())
    for (const int64_t n : kSizes) {
      const std::vector<float> a = randomFloats(n, 1), b = randomFloats(n, 2);
      std::vector<float> out(static_cast<size_t>(n + 1), 7);
      kernels->addScaled(a.data(), b.data(), 1.5f, n, out.data());
      for (size_t i = 0; i < a.size(); ++i) CHECK_NEAR(out[i], (double{a[i]} + b[i]) * 1.5, 1e-6);
      kernels->scale(a.data(), 0.3f, n, out.data());
      for (size_t i = 0; i < a.size(); ++i) CHECK_NEAR(out[i], double{a[i]} * 0.3f, 1e-6);
      CHECK_EQ(out[a.size()], 7.0f);
    }
}

TEST(activations_match_float64_relatively) {
  std::vector<float> x;
  for (double v = -100; v <= 100; v += 0.00917) x.push_back(static_cast<float>(v));
  for (double v = 1e-12; v < 1; v *= 1.3) x.insert(x.end(), {static_cast<float>(v), static_cast<float>(-v)});
  x.insert(x.end(), {0.0f, 1e30f, -1e30f});
  const std::vector<float> ones(x.size(), 1);
  const auto n = static_cast<int64_t>(x.size());
  for (const KernelTable* kernels : variants()) {
    std::vector<float> silu = x, gelu(x.size()), cap(x.size());
    kernels->actMul(silu.data(), ones.data(), static_cast<int32_t>(Act::kSilu), n, silu.data());
    kernels->actMul(x.data(), ones.data(), static_cast<int32_t>(Act::kGeluTanh), n, gelu.data());
    kernels->softcap(x.data(), 30, n, cap.data());
    double worstSilu = 0, worstGelu = 0, worstCap = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double v = x[i];
      // results below 1e-30 may underflow; GELU's tail multiplies the rounding of its exponent
      if (v > -80) worstSilu = std::max(worstSilu, relativeError(silu[i], v * sigmoid(v)));
      if (v > -5) worstGelu = std::max(worstGelu, relativeError(gelu[i], geluTanh(v)));
      else CHECK_NEAR(gelu[i], geluTanh(v), 1e-6);
      worstCap = std::max(worstCap, relativeError(cap[i], 30 * std::tanh(v / 30)));
    }
    CHECK(worstSilu < 1e-6);
    CHECK(worstGelu < 2e-6);
    CHECK(worstCap < 1e-6);
    std::printf("  %s: relative error of silu %.2g, gelu %.2g, softcap %.2g\n", kernels->name, worstSilu, worstGelu, worstCap);
  }
}
