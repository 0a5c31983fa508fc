#include "plan/best_first.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace mistralrs {
namespace {

constexpr size_t kSortLimit = 1024;  // above it, finding the last candidate kept is cheaper than a sort

// Unsigned integers in the order of the floats.
uint32_t orderedBits(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x + 0.0f);  // -0 equals 0
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

double keepBySort(std::vector<Candidate>& candidates, size_t maxCount, double mass) {
  std::sort(candidates.begin(), candidates.end(), isBetter);
  size_t count = 0;
  double sum = 0;
  while (count < candidates.size() && count < maxCount && (count == 0 || sum < mass)) sum += candidates[count++].mass;
  candidates.resize(count);
  return sum;
}

// Radix selection from the most significant digit: each level finds the bucket in which the limit falls and goes on inside it.
double keepBySelection(std::vector<Candidate>& candidates, size_t maxCount, double mass) {
  struct Bucket {
    size_t count;
    double mass;
  };
  std::vector<Bucket> buckets;
  size_t count = 0;  // of candidates known to be kept
  double sum = 0;
  uint32_t prefix = 0;
  int shift = 32;
  for (const int digit : {11, 11, 10}) {
    const uint32_t size = 1u << digit;
    const int above = shift;
    shift -= digit;
    buckets.assign(size, {0, 0});
    for (const Candidate& candidate : candidates) {
      const uint32_t bits = orderedBits(candidate.logit);
      if (above < 32 && bits >> above != prefix) continue;
      Bucket& bucket = buckets[bits >> shift & (size - 1)];
      ++bucket.count;
      bucket.mass += candidate.mass;
    }
    uint32_t i = size - 1;
    for (; i > 0; --i) {
      if (buckets[i].count > 0 && (count + buckets[i].count >= maxCount || sum + buckets[i].mass >= mass)) break;
      count += buckets[i].count;
      sum += buckets[i].mass;
    }
    prefix = prefix << digit | i;
  }
  // `prefix` is now the value of the last one kept; of its equals the lowest ids are.
  std::erase_if(candidates, [&](const Candidate& candidate) {
    const uint32_t bits = orderedBits(candidate.logit);
    if (bits != prefix) return bits < prefix;
    if (count > 0 && (count >= maxCount || sum >= mass)) return true;
    ++count;
    sum += candidate.mass;
    return false;
  });
  return sum;
}

}  // namespace

bool isBetter(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }

double keepBestFirst(std::vector<Candidate>& candidates, size_t maxCount, double mass) {
  return candidates.size() <= kSortLimit ? keepBySort(candidates, maxCount, mass) : keepBySelection(candidates, maxCount, mass);
}

}  // namespace mistralrs
