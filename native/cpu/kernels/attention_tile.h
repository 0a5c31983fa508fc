// Attention of a few rows over one tile of 128 keys. A row is one query head of one token.
//
//   s[j] = softcap(scale * (q . k[j]))    lanes = 16 keys, one FMA chain over headDim
//   p[j] = exp(s[j] - max s), sum p       lanes = 16 keys
//   o    = sum_j p[j] * v[j]              lanes = 16 columns, one FMA chain over the visible keys
//
// Every chain belongs to one row, so results do not depend on which rows share a call: they only share the loads of keys and
// values. A key that a row does not see takes no part in its chains, so a stale or NaN slot cannot leak.
#pragma once
#include "cpu/kernels.h"
#include "cpu/kernels/vec16.h"

namespace mistralrs::kernels::attn {

using namespace simd;

constexpr int kTile = kAttentionTile;
constexpr int kBlocks = kTile / kKeyBlock;

// Rows that share one pass over a tile, and how many vectors of scores or columns each keeps in registers.
#if defined(MISTRALRS_ISA_AVX512)
constexpr int kMaxRows = 6;
constexpr int vectorsInFlight(int rows) { return rows <= 3 ? 8 : 4; }
#elif defined(MISTRALRS_ISA_AVX2)
constexpr int kMaxRows = 6;
constexpr int vectorsInFlight(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }
#else
constexpr int kMaxRows = 2;
constexpr int vectorsInFlight(int) { return 1; }
#endif

inline int paddedDim(int headDim) { return (headDim + 15) & ~15; }

// Key blocks of one tile; null where no row in question sees a key.
template <typename E>
struct Tile {
  const E* keys[kBlocks];      // [headDim][16]
  const E* values[kBlocks];    // [16][headDim]
  const E* nextKeys[kBlocks];  // what will be read after this tile: prefetched, never used
};

// Decoding streams an f16 cache from memory in pieces of a page, too short for the hardware's prefetchers: reading keys
// fetches the values of the same tile, reading values fetches the next tile's keys (all blocks have the same size).
template <typename E>
inline void prefetch([[maybe_unused]] const E* block, [[maybe_unused]] int64_t offset) {
  if constexpr (sizeof(E) == 2)
    if (offset % 32 == 0) __builtin_prefetch(block + offset);
}

// Keys [begin, end) of the tile that a row sees.
struct Visible {
  int begin, end;
};

struct Row {
  const float* q;   // [headDim]
  Visible visible;  // empty: the row takes no part
  float* out;       // [paddedDim], not yet divided by sum
  float max, sum;
};

struct Scoring {
  float scale, softcap;
};

template <typename E, int R, int C>
inline void scoreBlocks(const Tile<E>& tile, int headDim, const Row* rows, int& block, int blockEnd, float* scores) {
  for (; blockEnd - block >= C; block += C) {
    const E* keys[C];
    const float* q[R];
    Vec16 acc[R][C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) keys[c] = tile.keys[block + c];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) q[r] = rows[r].q;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) acc[r][c] = broadcast16(0);
    for (int d = 0; d < headDim; ++d) {
      Vec16 k[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        k[c] = load16(keys[c] + d * kKeyBlock);
        prefetch(tile.values[block + c], d * kKeyBlock);
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Vec16 x = broadcast16(q[r][d]);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) acc[r][c] = fma(x, k[c], acc[r][c]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) store16(scores + r * kTile + (block + c) * kKeyBlock, acc[r][c]);
  }
  if constexpr (C > 1) scoreBlocks<E, R, C / 2>(tile, headDim, rows, block, blockEnd, scores);
}

// Turns a row's scores into weights exp(s - max), exactly 0 where it does not see the key; sets row.max and row.sum.
inline void softmaxRow(Row& row, const Scoring& scoring, float* scores) {
  const int blockBegin = row.visible.begin / kKeyBlock, blockEnd = (row.visible.end + kKeyBlock - 1) / kKeyBlock;
  const Vec16 hidden = broadcast16(-__builtin_inff()), scale = broadcast16(scoring.scale);
  const auto finish = [&](int block, Vec16 s) {
    s = mul(s, scale);
    if (scoring.softcap > 0) {
      const Vec16 cap = broadcast16(scoring.softcap);
      s = mul(cap, tanh(div(s, cap)));
    }
    const int begin = row.visible.begin - block * kKeyBlock, end = row.visible.end - block * kKeyBlock;
    if (begin > 0 || end < kKeyBlock) s = selectLanes(begin > 0 ? begin : 0, end < kKeyBlock ? end : kKeyBlock, s, hidden);
    return s;
  };
  Vec16 best = hidden;
  for (int b = blockBegin; b < blockEnd; ++b) {
    const Vec16 s = finish(b, load16(scores + b * kKeyBlock));
    store16(scores + b * kKeyBlock, s);
    best = max(best, s);
  }
  row.max = maxLanes(best);
  const Vec16 offset = broadcast16(row.max);
  Vec16 sum = broadcast16(0);
  for (int b = blockBegin; b < blockEnd; ++b) {
    const Vec16 p = exp(sub(load16(scores + b * kKeyBlock), offset));
    store16(scores + b * kKeyBlock, p);
    sum = add(sum, p);
  }
  row.sum = sumLanes(sum);
}

template <bool Tail, typename E>
inline Vec16 loadColumns(const E* p) {
  if constexpr (Tail) return load8(p);
  else return load16(p);
}

// Adds keys [begin, end) to columns [column, column + 16 C) of R rows; Tail: only the first 8 of the last 16 exist.
template <typename E, int R, int C, bool Tail>
inline void weighColumns(const Tile<E>& tile, int headDim, int column, int begin, int end, const float* weights, const Row* rows) {
  Vec16 acc[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) acc[r][c] = load16(rows[r].out + column + c * 16);
  for (int j = begin; j < end;) {
    const int blockEnd = (j / kKeyBlock + 1) * kKeyBlock, stop = blockEnd < end ? blockEnd : end;
    int64_t at = (j % kKeyBlock) * headDim + column;
    const E *v = tile.values[j / kKeyBlock] + at, *next = tile.nextKeys[j / kKeyBlock];
    for (; j < stop; ++j, v += headDim, at += headDim) {
      Vec16 value[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        value[c] = loadColumns<Tail>(v + c * 16);
        prefetch(next, at + c * 16);
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Vec16 p = broadcast16(weights[r * kTile + j]);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) acc[r][c] = fma(p, value[c], acc[r][c]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) store16(rows[r].out + column + c * 16, acc[r][c]);
}

template <typename E, int R, int C>
inline void weighFrom(const Tile<E>& tile, int headDim, int column, int begin, int end, const float* weights, const Row* rows) {
  for (; headDim - column >= 16 * C; column += 16 * C)
    weighColumns<E, R, C, false>(tile, headDim, column, begin, end, weights, rows);
  if constexpr (C > 1) weighFrom<E, R, C / 2>(tile, headDim, column, begin, end, weights, rows);
  else if (column < headDim) weighColumns<E, R, 1, true>(tile, headDim, column, begin, end, weights, rows);
}

template <typename E, int R>
inline void weigh(const Tile<E>& tile, int headDim, int begin, int end, const float* weights, const Row* rows) {
  if (begin < end) weighFrom<E, R, vectorsInFlight(R)>(tile, headDim, 0, begin, end, weights, rows);
}

template <typename E, int R>
void attendRows(const Tile<E>& tile, int headDim, const Scoring& scoring, Row* rows, float* scores) {
  // What all rows see is weighed together; what only some see, before and after it, row by row.
  Visible any = rows[0].visible, all = rows[0].visible;
  for (int r = 1; r < R; ++r) {
    const Visible& v = rows[r].visible;
    if (v.begin < any.begin) any.begin = v.begin;
    if (v.end > any.end) any.end = v.end;
    if (v.begin > all.begin) all.begin = v.begin;
    if (v.end < all.end) all.end = v.end;
  }
  int block = any.begin / kKeyBlock;
  scoreBlocks<E, R, vectorsInFlight(R)>(tile, headDim, rows, block, (any.end + kKeyBlock - 1) / kKeyBlock, scores);
  for (int r = 0; r < R; ++r) {
    softmaxRow(rows[r], scoring, scores + r * kTile);
    for (int d = 0; d < headDim; d += 16) store16(rows[r].out + d, broadcast16(0));
  }
  if (all.begin >= all.end) {
    for (int r = 0; r < R; ++r) weigh<E, 1>(tile, headDim, rows[r].visible.begin, rows[r].visible.end, scores + r * kTile, rows + r);
    return;
  }
  for (int r = 0; r < R; ++r) weigh<E, 1>(tile, headDim, rows[r].visible.begin, all.begin, scores + r * kTile, rows + r);
  weigh<E, R>(tile, headDim, all.begin, all.end, scores, rows);
  for (int r = 0; r < R; ++r) weigh<E, 1>(tile, headDim, all.end, rows[r].visible.end, scores + r * kTile, rows + r);
}

// Attends `numRows` rows, all with a visible key, of which at most kMaxRows at once. scores: [kMaxRows][128].
template <typename E>
inline void attendTile(const Tile<E>& tile, int headDim, const Scoring& scoring, Row* rows, int numRows, float* scores) {
  for (; numRows >= kMaxRows; numRows -= kMaxRows, rows += kMaxRows) attendRows<E, kMaxRows>(tile, headDim, scoring, rows, scores);
  switch (numRows) {
    case 1: return attendRows<E, 1>(tile, headDim, scoring, rows, scores);
    case 2: return attendRows<E, 2>(tile, headDim, scoring, rows, scores);
    case 3: return attendRows<E, 3>(tile, headDim, scoring, rows, scores);
    case 4: return attendRows<E, 4>(tile, headDim, scoring, rows, scores);
    case 5: return attendRows<E, 5>(tile, headDim, scoring, rows, scores);
    default: return;
  }
}

}  // namespace mistralrs::kernels::attn
