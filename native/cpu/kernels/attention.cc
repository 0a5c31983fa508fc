// Attention over the paged KV cache, prefill and decode alike, causal or both ways: rows (query heads of tokens) against tiles of 128 keys
// at absolute positions; each tile gives (max, sum, out), merged into the row's running result in tile order.
//
// Per row and key 2 headDim multiply-adds. Decode reads every key and value once per KV head (2 headDim elements a key): bound
// by memory. Prefill keeps up to 96 rows' state beside one tile; an f16 tile is widened once for all of them: bound by FMA.
#include "cpu/kernels/attention.h"

#include "cpu/kernels/attention_tile.h"

namespace mistralrs::kernels {

using namespace attn;

namespace {

constexpr int kBlockRows = 96;   // rows whose running results share a pass over the tiles
constexpr int kWidenRows = 12;   // from this many rows, widening an f16 tile pays

struct Running {
  float max, sum;
};

// One KV head of one sequence.
template <typename E>
struct Cache {
  const uint8_t* pool;
  const int32_t* pages;
  int64_t pageBytes, offset;
  int pageTokens, headDim;

  Cache(const KvView* kv, int kvHead)
      : pool(kv->pool), pages(kv->pages), pageBytes(kv->pageBytes),
        offset(kv->layerOffset + int64_t{kvHead} * kv->pageTokens * kv->headDim * 2 * static_cast<int64_t>(sizeof(E))),
        pageTokens(kv->pageTokens), headDim(kv->headDim) {}

  const E* keyBlock(int block) const {
    const int blocksPerPage = pageTokens / kKeyBlock, page = block / blocksPerPage, inPage = block % blocksPerPage;
    return reinterpret_cast<const E*>(pool + pages[page] * pageBytes + offset) + inPage * kKeyBlock * headDim;
  }

  // Points at the blocks of `keys` of the tile and at no others: their pages may be gone. `next`: keys of the tile after it.
  Tile<E> tile(int index, Visible keys, Visible next) const {
    Tile<E> result{};
    for (int b = keys.begin / kKeyBlock; b * kKeyBlock < keys.end; ++b) {
      result.keys[b] = result.nextKeys[b] = keyBlock(index * kBlocks + b);
      result.values[b] = result.keys[b] + pageTokens * headDim;
    }
    if constexpr (sizeof(E) == 2)
      for (int b = next.begin / kKeyBlock; b * kKeyBlock < next.end; ++b) result.nextKeys[b] = keyBlock((index + 1) * kBlocks + b);
    return result;
  }
};

// The keys a query sees: from its window's begin to itself (length 0: causal), or on to its window's end or the last of `length`.
struct Sight {
  int window, length;

  int begin(int position) const { return window > 0 && position >= window ? position - window + 1 : 0; }
  int end(int position) const {
    if (length == 0) return position + 1;
    return window > 0 && position + window < length ? position + window : length;
  }
};

// Keys of tile `index` that the queries at positions first .. last see together; may be empty. They follow each other, so these
// begin with what the first one sees and end with the last one.
Visible visibleInTile(int index, int first, int last, Sight sight) {
  const int begin = sight.begin(first) - index * kTile, end = sight.end(last) - index * kTile;
  const Visible v{begin > 0 ? begin : 0, end < kTile ? end : kTile};
  return v.begin < v.end ? v : Visible{0, 0};
}

void widen(const uint16_t* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) store16(to + i, load16(from + i));
}

// Copies the blocks that `tile` points at as floats.
Tile<float> widenTile(const Tile<uint16_t>& tile, int headDim, float* keys, float* values) {
  Tile<float> result{};
  const int64_t blockSize = int64_t{kKeyBlock} * headDim;
  for (int b = 0; b < kBlocks; ++b) {
    if (!tile.keys[b]) continue;
    widen(tile.keys[b], keys + b * blockSize, blockSize);
    widen(tile.values[b], values + b * blockSize, blockSize);
    result.keys[b] = keys + b * blockSize;
    result.values[b] = values + b * blockSize;
  }
  return result;
}

void mergeTile(float tileMax, float tileSum, const float* tileOut, int headDim, Running& running, float* out) {
  const float distance = running.max - tileMax;  // -inf at a row's first tile
  const float e = lane0(exp(broadcast16(distance > 0 ? -distance : distance)));
  const float keep = distance > 0 ? 1.0f : e, take = distance > 0 ? e : 1.0f;
  running.max = distance > 0 ? running.max : tileMax;
  running.sum = running.sum * keep + tileSum * take;
  const Vec16 a = broadcast16(keep), b = broadcast16(take);
  for (int d = 0; d < headDim; d += 16) store16(out + d, fma(load16(out + d), a, mul(load16(tileOut + d), b)));
}

void clear(Running& running, float* out, int headDim) {
  running = {-__builtin_inff(), 0};
  for (int d = 0; d < headDim; d += 16) store16(out + d, broadcast16(0));
}

void finish(const Running& running, const float* sums, int headDim, float* out) {
  const Vec16 inverse = broadcast16(1.0f / running.sum);
  int d = 0;
  for (; d + 16 <= headDim; d += 16) store16(out + d, mul(load16(sums + d), inverse));
  if (d < headDim) store8(out + d, mul(load16(sums + d), inverse));
}

// Scratch, in floats, all parts 64-byte aligned.
struct Scratch {
  float *keys, *values;  // [128 * headDim] each, a widened tile
  float* scores;         // [kMaxRows][128]
  float* tileOut;        // [kMaxRows][paddedDim]
  float* sums;           // [rows][paddedDim]
  Running* running;      // [rows]
  int64_t floats;

  Scratch(void* memory, int headDim, int rows) {
    float* base = static_cast<float*>(memory);
    int64_t used = 0;
    const auto take = [&](int64_t count) {
      float* part = base ? base + used : nullptr;
      used += (count + 15) & ~int64_t{15};
      return part;
    };
    const int64_t padded = paddedDim(headDim);
    keys = take(int64_t{kTile} * headDim);
    values = take(int64_t{kTile} * headDim);
    scores = take(int64_t{kMaxRows} * kTile);
    tileOut = take(kMaxRows * padded);
    sums = take(rows * padded);
    running = reinterpret_cast<Running*>(take(int64_t{rows} * 2));
    floats = used;
  }
};

int rowsOfBlock(int groupHeads) { return groupHeads > kBlockRows ? groupHeads : kBlockRows; }

struct Queries {
  const float* q;
  int64_t qStride;
  int firstPosition, count, groupHeads;
  Sight sight;
};

// Up to rowsOfBlock rows against one tile, merged into the scratch's running results.
template <typename E>
void attendBlock(const Tile<E>& tile, int index, int headDim, const Queries& queries, const Scoring& scoring, const Scratch& scratch) {
  const int64_t padded = paddedDim(headDim);
  const int numRows = queries.count * queries.groupHeads;
  for (int first = 0; first < numRows; first += kMaxRows) {
    Row rows[kMaxRows];
    int order[kMaxRows], active = 0;
    for (int i = first; i < numRows && i < first + kMaxRows; ++i) {
      const int query = i / queries.groupHeads, head = i % queries.groupHeads;
      const int position = queries.firstPosition + query;
      const Visible visible = visibleInTile(index, position, position, queries.sight);
      if (visible.end == 0) continue;
      rows[active] = {queries.q + query * queries.qStride + int64_t{head} * headDim, visible, scratch.tileOut + active * padded, 0, 0};
      order[active++] = i;
    }
    attendTile(tile, headDim, scoring, rows, active, scratch.scores);
    for (int r = 0; r < active; ++r)
      mergeTile(rows[r].max, rows[r].sum, rows[r].out, headDim, scratch.running[order[r]], scratch.sums + order[r] * padded);
  }
}

template <typename E>
void attentionOf(const KvView* kv, int kvHead, const Queries& all, const Scoring& scoring, float* out, int64_t outStride, void* memory) {
  const int headDim = kv->headDim;
  const int64_t padded = paddedDim(headDim);
  const Cache<E> cache(kv, kvHead);
  const int blockRows = rowsOfBlock(all.groupHeads), blockQueries = blockRows / all.groupHeads;
  const Scratch scratch(memory, headDim, blockRows);
  for (int begin = 0; begin < all.count; begin += blockQueries) {
    Queries block = all;
    block.q += begin * all.qStride;
    block.firstPosition += begin;
    block.count = all.count - begin < blockQueries ? all.count - begin : blockQueries;
    const int numRows = block.count * block.groupHeads, lastPosition = block.firstPosition + block.count - 1;
    for (int i = 0; i < numRows; ++i) clear(scratch.running[i], scratch.sums + i * padded, headDim);
    const int firstTile = block.sight.begin(block.firstPosition) / kTile, lastTile = (block.sight.end(lastPosition) - 1) / kTile;
    for (int index = firstTile; index <= lastTile; ++index) {
      const Tile<E> tile = cache.tile(index, visibleInTile(index, block.firstPosition, lastPosition, block.sight),
                                      visibleInTile(index + 1, block.firstPosition, lastPosition, block.sight));
      if constexpr (sizeof(E) == 2) {
        if (numRows >= kWidenRows) {
          attendBlock(widenTile(tile, headDim, scratch.keys, scratch.values), index, headDim, block, scoring, scratch);
          continue;
        }
      }
      attendBlock(tile, index, headDim, block, scoring, scratch);
    }
    for (int i = 0; i < numRows; ++i) {
      const int query = begin + i / block.groupHeads, head = i % block.groupHeads;
      finish(scratch.running[i], scratch.sums + i * padded, headDim, out + query * outStride + int64_t{head} * headDim);
    }
  }
}

template <typename E>
void attentionTilesOf(const KvView* kv, int kvHead, int groupHeads, const float* q, int position, int tileBegin, int tileEnd, Sight sight,
                      const Scoring& scoring, float* partials, void* memory) {
  const int headDim = kv->headDim;
  const int64_t padded = paddedDim(headDim), partialFloats = attentionPartialFloats(headDim);
  const Cache<E> cache(kv, kvHead);
  const Scratch scratch(memory, headDim, rowsOfBlock(groupHeads));
  for (int index = tileBegin; index < tileEnd; ++index) {
    const Visible visible = visibleInTile(index, position, position, sight);
    const Visible next = index + 1 < tileEnd ? visibleInTile(index + 1, position, position, sight) : Visible{0, 0};
    const Tile<E> tile = cache.tile(index, visible, next);
    for (int first = 0; first < groupHeads; first += kMaxRows) {
      const int count = groupHeads - first < kMaxRows ? groupHeads - first : kMaxRows;
      Row rows[kMaxRows];
      float* partial = partials + (int64_t{index - tileBegin} * groupHeads + first) * partialFloats;
      for (int r = 0; r < count; ++r) rows[r] = {q + int64_t{first + r} * headDim, visible, partial + r * partialFloats, 0, 0};
      attendTile(tile, headDim, scoring, rows, count, scratch.scores);
      for (int r = 0; r < count; ++r) {
        rows[r].out[padded] = rows[r].max;
        rows[r].out[padded + 1] = rows[r].sum;
      }
    }
  }
}

}  // namespace

int64_t attentionScratchBytes(int32_t headDim, int32_t groupHeads) {
  return Scratch(nullptr, headDim, rowsOfBlock(groupHeads)).floats * 4;
}

void attention(const KvView* kv, int32_t kvHead, int32_t groupHeads, const float* q, int64_t qStride, int32_t firstPosition,
               int32_t numQueries, int32_t window, int32_t length, float scoreScale, float softcap, float* out, int64_t outStride,
               void* scratch) {
  const Queries queries{q, qStride, firstPosition, numQueries, groupHeads, {window, length}};
  const Scoring scoring{scoreScale, softcap};
  if (kv->f16) attentionOf<uint16_t>(kv, kvHead, queries, scoring, out, outStride, scratch);
  else attentionOf<float>(kv, kvHead, queries, scoring, out, outStride, scratch);
}

int64_t attentionPartialFloats(int32_t headDim) { return paddedDim(headDim) + 16; }

void attentionTiles(const KvView* kv, int32_t kvHead, int32_t groupHeads, const float* q, int32_t position, int32_t tileBegin,
                    int32_t tileEnd, int32_t window, float scoreScale, float softcap, float* partials, void* scratch) {
  const Scoring scoring{scoreScale, softcap};
  const Sight sight{window, 0};
  if (kv->f16) attentionTilesOf<uint16_t>(kv, kvHead, groupHeads, q, position, tileBegin, tileEnd, sight, scoring, partials, scratch);
  else attentionTilesOf<float>(kv, kvHead, groupHeads, q, position, tileBegin, tileEnd, sight, scoring, partials, scratch);
}

void attentionMerge(int32_t headDim, int32_t groupHeads, int32_t numTiles, const float* partials, float* out, void* memory) {
  const int64_t padded = paddedDim(headDim), partialFloats = attentionPartialFloats(headDim);
  const Scratch scratch(memory, headDim, rowsOfBlock(groupHeads));
  for (int head = 0; head < groupHeads; ++head) {
    Running running;
    clear(running, scratch.sums, headDim);
    for (int k = 0; k < numTiles; ++k) {
      const float* partial = partials + (int64_t{k} * groupHeads + head) * partialFloats;
      mergeTile(partial[padded], partial[padded + 1], partial, headDim, running, scratch.sums);
    }
    finish(running, scratch.sums, headDim, out + int64_t{head} * headDim);
  }
}

}  // namespace mistralrs::kernels
