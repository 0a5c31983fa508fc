// Stores one token's keys and values in the paged cache (layout: ../kernels.h, KvView).
#include "cpu/kernels/attention.h"
#include "cpu/kernels/vec16.h"

namespace mistralrs::kernels {
namespace {

void convert(const float* from, int count, float* to) { __builtin_memcpy(to, from, sizeof(float) * static_cast<size_t>(count)); }
// To nearest, ties to even; overflow becomes infinity.
void convert(const float* from, int count, uint16_t* to) {
  if constexpr (simd::kLanes == 16) {
    for (; count >= 16; count -= 16, from += 16, to += 16) simd::storeF16(to, simd::load(from));
    if (count == 0) return;
    uint16_t halves[16];  // headDim is a multiple of 8
    simd::storeF16(halves, simd::loadFirst(from, 8));
    __builtin_memcpy(to, halves, 16);
  } else {
    for (int i = 0; i < count; i += simd::kLanes) simd::storeF16(to + i, simd::load(from + i));
  }
}

template <typename E>
void kvWriteOf(const KvView* kv, int position, const float* k, const float* v) {
  const int headDim = kv->headDim, pageTokens = kv->pageTokens, inPage = position % pageTokens;
  E* page = reinterpret_cast<E*>(kv->pool + kv->pages[position / pageTokens] * kv->pageBytes + kv->layerOffset);
  for (int head = 0; head < kv->kvHeads; ++head, k += headDim, v += headDim) {
    E* keys = page + int64_t{head} * pageTokens * headDim * 2;
    convert(v, headDim, keys + int64_t{pageTokens} * headDim + int64_t{inPage} * headDim);
    keys += int64_t{inPage / kKeyBlock} * kKeyBlock * headDim + inPage % kKeyBlock;
    for (int d = 0; d < headDim; d += 8) {
      E part[8];
      convert(k + d, 8, part);
      for (int i = 0; i < 8; ++i) keys[(d + i) * kKeyBlock] = part[i];
    }
  }
}

}  // namespace

void kvWrite(const KvView* kv, int32_t position, const float* k, const float* v) {
  if (kv->f16) kvWriteOf<uint16_t>(kv, position, k, v);
  else kvWriteOf<float>(kv, position, k, v);
}

}  // namespace mistralrs::kernels
