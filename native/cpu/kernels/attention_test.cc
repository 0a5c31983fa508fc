// Attention kernels of every variant against float64, and bitwise against themselves under other chunkings.
#include <algorithm>
#include <cstring>
#include <limits>
#include <random>

#include "cpu/kernel_library.h"
#include "testing/testing.h"

using namespace mistralrs;

namespace {

struct Shape {
  int headDim, kvHeads, groupHeads, window, pageTokens;
  float softcap;
  bool f16;
  int tokens;
  bool causal = true;
};

float halfBitsToFloat(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  const double magnitude = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  return static_cast<float>(h >> 15 ? -magnitude : magnitude);
}

// The value a cache of halves holds for x: the nearest half, ties to even.
float roundToHalf(float x) {
  if (x == 0) return x;
  const int exponent = std::max(std::ilogb(x), -14);
  return static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(double{x}, 10 - exponent)), exponent - 10));
}

// One sequence over a NaN-filled pool whose pages lie in random order.
struct Case {
  const KernelTable& kernels;
  Shape shape;
  std::vector<float> q, k, v;  // [tokens, heads * headDim], [tokens, kvHeads * headDim]
  std::vector<int32_t> pages;
  std::vector<uint8_t> memory;
  KvView kv{};
  std::vector<uint8_t> scratchMemory;
  float scale;

  Case(const KernelTable& table, const Shape& s, unsigned seed) : kernels(table), shape(s) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const int kvWidth = s.kvHeads * s.headDim;
    const auto fill = [&](std::vector<float>& to, int64_t count, float size) {
      to.resize(static_cast<size_t>(count));
      for (float& x : to) x = normal(random) * size;
    };
    fill(q, int64_t{s.tokens} * kvWidth * s.groupHeads, 2);
    fill(k, int64_t{s.tokens} * kvWidth, 1);
    fill(v, int64_t{s.tokens} * kvWidth, 1);
    scale = 1 / std::sqrt(static_cast<float>(s.headDim));
    const int numPages = (s.tokens + s.pageTokens - 1) / s.pageTokens;
    const int64_t element = s.f16 ? 2 : 4, layerBytes = int64_t{s.pageTokens} * kvWidth * 2 * element;
    kv = {nullptr, nullptr, 2 * layerBytes + 64, layerBytes, s.pageTokens, s.kvHeads, s.headDim, s.f16};
    memory.assign(static_cast<size_t>(kv.pageBytes * numPages + 64), 0xff);  // NaN in both types
    kv.pool = align(memory);
    for (int i = 0; i < numPages; ++i) pages.push_back(i);
    std::shuffle(pages.begin(), pages.end(), random);
    kv.pages = pages.data();
    scratchMemory.assign(static_cast<size_t>(kernels.attentionScratchBytes(s.headDim, s.groupHeads) + 64), 0xff);
  }
  static uint8_t* align(std::vector<uint8_t>& bytes) {
    return bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64;
  }
  void* scratch() { return align(scratchMemory); }
  int heads() const { return shape.kvHeads * shape.groupHeads; }

  void write(int begin, int end) {
    for (int t = begin; t < end; ++t)
      kernels.kvWrite(&kv, t, &k[t * shape.kvHeads * shape.headDim], &v[t * shape.kvHeads * shape.headDim]);
    // Pages behind the window of every query to come are gone.
    if (shape.window > 0)
      for (int page = 0; (page + 1) * shape.pageTokens <= begin - shape.window + 1; ++page) pages[page] = -1;
  }
  void attend(int begin, int end, float* out) {
    const int length = shape.causal ? 0 : shape.tokens;
    const int64_t stride = int64_t{heads()} * shape.headDim;
    for (int head = 0; head < shape.kvHeads; ++head) {
      const int64_t column = int64_t{head} * shape.groupHeads * shape.headDim;
      kernels.attention(&kv, head, shape.groupHeads, &q[begin * stride + column], stride, begin, end - begin, shape.window,
                        length, scale, shape.softcap, out + begin * stride + column, stride, scratch());
    }
  }
  // Prefill in chunks, each written and then attended; what sees both ways is written whole, before any chunk is attended.
  std::vector<float> inChunks(int chunk) {
    std::vector<float> out(q.size(), std::numeric_limits<float>::quiet_NaN());
    const std::vector<int32_t> allPages = pages;
    if (!shape.causal) write(0, shape.tokens);
    for (int begin = 0; begin < shape.tokens; begin += chunk) {
      const int end = std::min(shape.tokens, begin + chunk);
      if (shape.causal) write(begin, end);
      attend(begin, end, out.data());
    }
    pages = allPages;
    return out;
  }
  // The cache must be full. One query, its tiles in two runs, merged.
  std::vector<float> inTiles(int position) {
    const int64_t stride = int64_t{heads()} * shape.headDim, partial = kernels.attentionPartialFloats(shape.headDim);
    std::vector<float> out(static_cast<size_t>(stride), std::numeric_limits<float>::quiet_NaN());
    const int first = shape.window > 0 ? std::max(0, position - shape.window + 1) / kAttentionTile : 0;
    const int end = position / kAttentionTile + 1, middle = (first + end) / 2;
    std::vector<float> partials(static_cast<size_t>(partial * shape.groupHeads * (end - first)));
    for (int head = 0; head < shape.kvHeads; ++head) {
      const int64_t column = int64_t{head} * shape.groupHeads * shape.headDim;
      const auto run = [&](int from, int to) {
        kernels.attentionTiles(&kv, head, shape.groupHeads, &q[position * stride + column], position, from, to, shape.window, scale,
                               shape.softcap, partials.data() + partial * shape.groupHeads * (from - first), scratch());
      };
      run(middle, end);
      run(first, middle);
      kernels.attentionMerge(shape.headDim, shape.groupHeads, end - first, partials.data(), out.data() + column, scratch());
    }
    return out;
  }
  std::vector<double> expected(int position, int head) const {
    const int d = shape.headDim, kvHead = head / shape.groupHeads, first = shape.window > 0 ? std::max(0, position - shape.window + 1) : 0;
    const int ahead = shape.causal ? 0 : shape.window > 0 ? shape.window - 1 : shape.tokens;
    const int last = std::min(shape.tokens - 1, position + ahead);
    const auto cached = [&](float x) { return static_cast<double>(shape.f16 ? roundToHalf(x) : x); };
    std::vector<double> scores, out(d);
    double best = -1e300, sum = 0;
    for (int j = first; j <= last; ++j) {
      double s = 0;
      const float *query = &q[(int64_t{position} * heads() + head) * d], *key = &k[(int64_t{j} * shape.kvHeads + kvHead) * d];
      for (int i = 0; i < d; ++i) s += double{query[i]} * cached(key[i]);
      s *= scale;
      if (shape.softcap > 0) s = shape.softcap * std::tanh(s / shape.softcap);
      scores.push_back(s);
      best = std::max(best, s);
    }
    for (int j = first; j <= last; ++j) {
      const double p = std::exp(scores[j - first] - best);
      sum += p;
      for (int i = 0; i < d; ++i) out[i] += p * cached(v[(int64_t{j} * shape.kvHeads + kvHead) * d + i]);
    }
    for (double& x : out) x /= sum;
    return out;
  }
};

const Shape kShapes[] = {
    {64, 1, 3, 0, 32, 0, false, 300},  {64, 2, 3, 0, 32, 0, true, 300},   {16, 1, 2, 0, 16, 0, false, 140},
    {24, 2, 1, 0, 16, 0, true, 150},   {24, 1, 4, 40, 32, 0, false, 290}, {32, 2, 2, 100, 64, 30, true, 400},
    {8, 1, 1, 0, 16, 5, false, 130},   {72, 1, 5, 0, 32, 0, true, 200},   {80, 2, 1, 128, 64, 0, false, 420},
    {96, 1, 8, 0, 32, 50, false, 270}, {128, 1, 7, 150, 16, 0, true, 400}, {256, 1, 2, 0, 32, 0, true, 180},
    {512, 1, 4, 64, 64, 0, false, 200}, {40, 1, 13, 1, 16, 0, false, 140}, {64, 1, 100, 0, 32, 0, true, 135},
    {64, 2, 3, 0, 32, 0, false, 300, false}, {16, 1, 4, 9, 16, 0, true, 290, false}, {24, 1, 2, 200, 32, 20, true, 420, false},
};

std::string describe(const KernelTable& kernels, const Shape& s) {
  return format("%s headDim %d kvHeads %d group %d window %d page %d cap %g %s%s", kernels.name, s.headDim, s.kvHeads, s.groupHeads,
                s.window, s.pageTokens, static_cast<double>(s.softcap), s.f16 ? "f16" : "f32",
                s.causal ? "" : " both ways");
}

void check(bool ok, const std::string& what) {
  if (!ok) testing::fail(__FILE__, __LINE__, what);
}

bool same(const float* a, const float* b, size_t count) { return std::memcmp(a, b, count * sizeof(float)) == 0; }

template <typename Fn>
void eachVariant(Fn&& fn) {
  for (const std::string& isa : availableIsas())
    for (const Shape& shape : kShapes) fn(Case(openKernels(isa), shape, 7), describe(openKernels(isa), shape));
}

}  // namespace

TEST(attention_matches_float64) {
  eachVariant([](Case test, const std::string& what) {
    const std::vector<float> out = test.inChunks(test.shape.tokens);
    double worst = 0;
    for (int position : {0, 1, 15, 16, 17, 63, 127, 128, 129, 255, 256, test.shape.tokens - 1}) {
      if (position >= test.shape.tokens) continue;
      for (int head = 0; head < test.heads(); ++head) {
        const std::vector<double> expected = test.expected(position, head);
        for (int i = 0; i < test.shape.headDim; ++i) {
          const double difference = std::fabs(out[(int64_t{position} * test.heads() + head) * test.shape.headDim + i] - expected[i]);
          worst = difference <= worst ? worst : difference;  // NaN sticks
        }
      }
    }
    check(worst < 1e-5, format("%s: off by %g", what.c_str(), worst));
  });
}

TEST(attention_is_bitwise_independent_of_chunks) {
  eachVariant([](Case test, const std::string& what) {
    const std::vector<float> whole = test.inChunks(test.shape.tokens);
    for (int chunk : {1, 7, 50, 128}) {
      Case again(test.kernels, test.shape, 7);
      const std::vector<float> out = again.inChunks(chunk);
      check(same(whole.data(), out.data(), whole.size()), format("%s: chunk %d differs", what.c_str(), chunk));
    }
  });
}

TEST(attention_tiles_merge_to_the_same_bits) {
  eachVariant([](Case test, const std::string& what) {
    if (!test.shape.causal) return;
    const std::vector<float> whole = test.inChunks(test.shape.tokens);
    const size_t stride = static_cast<size_t>(test.heads()) * test.shape.headDim;
    for (int position : {0, 100, 128, test.shape.tokens - 1}) {
      const std::vector<float> out = test.inTiles(position);
      check(same(whole.data() + position * stride, out.data(), stride), format("%s: position %d differs", what.c_str(), position));
    }
  });
}

TEST(attention_f16_cache_rounds_to_nearest_even) {
  for (const std::string& isa : availableIsas()) {
    Case test(openKernels(isa), {24, 1, 1, 0, 16, 0, true, 1}, 3);
    const float values[] = {0.0f, -0.0f, 1.0f, 65504.0f, 2049.0f, 2051.0f, 5.9e-8f, 1e-9f, 6.1e-5f, 1.0009766f, -3.3333f, 1e-5f};
    for (size_t i = 0; i < std::size(values); ++i) test.v[i] = values[i];
    test.write(0, 1);
    const uint16_t* row = reinterpret_cast<const uint16_t*>(test.kv.pool + test.kv.layerOffset) + 16 * 24;
    for (int i = 0; i < 24; ++i) CHECK_EQ(halfBitsToFloat(row[i]), roundToHalf(test.v[i]));
  }
}
