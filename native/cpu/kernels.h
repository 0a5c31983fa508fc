// The C border between the CPU backend and its kernel variants. Each variant (generic, AVX2, AVX-512 with VNNI) is a shared
// object of its own, compiled with its own flags and hidden visibility, and exports only `mistralrs_cpu_kernels`. No STL
// crosses the border and none is used behind it: the linker could otherwise pick an AVX-512 copy of an inline function
// for an AVX2 machine.
//
// Rule for every kernel here (docs/plan.md, Determinism): what is computed for a row does not depend on how many rows are in the
// call, nor on how work is split over calls: each dot product accumulates over its inputs in one fixed order, and an element's
// bits do not depend on where it falls in a call (tails run the vector code, masked).
//
// Shapes: cols is any multiple of the type's block (and of 32) for linearQuant, any >= 1 for linearFloat; headDim any even number;
// rows any (rows missing in the last panel are not stored). Only data, pool and scratch are 64-byte aligned. out never aliases x
// unless said. Bias and residual are the executor's: out = (acc + bias) + residual.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { kPanelRows = 16 };       // weight rows interleaved in a panel, in every variant
enum { kQuantBlock = 32 };      // activations share one scale per 32 columns
enum { kKeyBlock = 16 };        // tokens whose keys are interleaved in the cache
enum { kAttentionTile = 128 };  // keys per attention tile, at absolute positions

// A linear weight, packed once at load: panels of 16 rows, one after the other. type is the ggml id (plan/weights.h DType).
typedef struct {
  int32_t type;
  int32_t rows, cols;
  int64_t panelBytes;
  const uint8_t* data;  // 64-byte aligned; ceil(rows / 16) panels, missing rows are zero
} PackedWeight;

// Activation rows as signed bytes for quantized weights, laid out for the kernels (kernels/quant_format.h): written by
// quantizeRow, read by linearQuant, opaque to callers. The place of a row depends on `rows`, so all rows of one call of
// linearQuant are quantized into one QuantRows with rows = the rows of that call.
typedef struct {
  uint8_t* data;  // quantRowsBytes(rows, cols), 64-byte aligned
  int32_t rows, cols;
} QuantRows;

typedef struct {
  const float* x;
  int64_t stride;  // floats from row to row
} FloatRows;

// Keys and values of one KV group and layer, seen through one sequence's page table. Element type f32 or f16 (binary16).
// Inside a page, this layer's part begins at layerOffset bytes and holds, for each kv head, keys then values:
//   keys   [pageTokens / 16][headDim][16]   (16 tokens side by side, so that scores need no horizontal sums)
//   values [pageTokens][headDim]
typedef struct {
  uint8_t* pool;
  const int32_t* pages;  // of this sequence
  int64_t pageBytes, layerOffset;
  int32_t pageTokens, kvHeads, headDim;
  int32_t f16;  // 0: f32
} KvView;

typedef struct {
  const char* name;  // "generic", "avx2", "avx512"

  // ---- linear (gemm_*.cc) ----
  // 1 when `type` uses quantized activations (linearQuant), 0 when float ones (linearFloat).
  int32_t (*usesQuantRows)(int32_t type);
  int64_t (*panelBytes)(int32_t type, int32_t cols);
  // Packs up to 16 rows of blocks (ggml layout, `rowBytes` apart; NULL rows are zero) into one panel.
  void (*packPanel)(int32_t type, int32_t cols, const void* const rows[16], uint8_t* panel);
  // cols is a multiple of 32.
  int64_t (*quantRowsBytes)(int32_t rows, int32_t cols);
  // Quantizes to->cols floats into row `row` of `to`.
  void (*quantizeRow)(const float* x, const QuantRows* to, int32_t row);
  // out[t * outStride + r] for panels [panelBegin, panelEnd) and all rows of the activations; r is the weight row.
  void (*linearQuant)(const PackedWeight* w, const QuantRows* x, int32_t panelBegin, int32_t panelEnd, float* out,
                      int64_t outStride);
  // The same for rows [0, numRows) of float activations.
  void (*linearFloat)(const PackedWeight* w, const FloatRows* x, int32_t numRows, int32_t panelBegin, int32_t panelEnd,
                      float* out, int64_t outStride);

  // ---- row-wise (rowwise.cc); n floats ----
  // out = x * (mean(x^2) + eps)^-0.5 * (w + offset); w may be NULL (ones), out may be x.
  void (*rmsNorm)(const float* x, const float* w, int64_t n, float eps, float offset, float* out);
  // One head of `dim` by cos/sin [dim / 2] each (already times the table's factor). In place allowed.
  void (*rope)(const float* x, const float* cosines, const float* sines, int64_t dim, float* out);
  void (*addScaled)(const float* a, const float* b, float scale, int64_t n, float* out);
  void (*scale)(const float* x, float scale, int64_t n, float* out);
  void (*actMul)(const float* gate, const float* up, int32_t act /* Act of plan.h */, int64_t n, float* out);
  void (*softcap)(const float* x, float cap, int64_t n, float* out);

  // ---- attention (attention.cc) ----
  // Stores one token's keys and values ([kvHeads * headDim] each) at its position.
  void (*kvWrite)(const KvView* kv, int32_t position, const float* k, const float* v);
  // Attention of `numQueries` consecutive tokens, the first at `firstPosition`, for the `groupHeads` query heads that
  // share kv head `kvHead`. q and out point at the first of these heads of the first token; strides in floats between tokens.
  // window 0 = full. length 0 = causal; else queries also see what follows them (window permitting), up to that many tokens.
  // scratch: attentionScratchBytes, 64-byte aligned.
  int64_t (*attentionScratchBytes)(int32_t headDim, int32_t groupHeads);
  void (*attention)(const KvView* kv, int32_t kvHead, int32_t groupHeads, const float* q, int64_t qStride, int32_t firstPosition,
                    int32_t numQueries, int32_t window, int32_t length, float scoreScale, float softcap, float* out, int64_t outStride,
                    void* scratch);
  // The same for one query at `position`, but only tiles [tileBegin, tileEnd), so that threads can share a long context:
  // tile k of head h leaves its unmerged result at partials + ((k - tileBegin) * groupHeads + h) * attentionPartialFloats.
  // Merging all visible tiles in order gives bitwise what `attention` gives.
  int64_t (*attentionPartialFloats)(int32_t headDim);
  void (*attentionTiles)(const KvView* kv, int32_t kvHead, int32_t groupHeads, const float* q, int32_t position, int32_t tileBegin,
                         int32_t tileEnd, int32_t window, float scoreScale, float softcap, float* partials, void* scratch);
  void (*attentionMerge)(int32_t headDim, int32_t groupHeads, int32_t numTiles, const float* partials, float* out, void* scratch);
} KernelTable;

typedef const KernelTable* (*KernelTableFn)(void);

#ifdef __cplusplus
}
#endif
