#include "plan/weights.h"

#include <cstring>
#include <vector>

#include "cpu/kernels/half.h"

namespace mistralrs {
namespace {

struct Source {
  const WeightPart* part;
  const uint8_t* blocks;  // of the row as stored
};

// Where the bytes of a weight's row lie: llama.cpp's converter stores row j * (n / 2) + i of each head, of n rows, at 2i + j.
Source sourceOf(const Weight& weight, int64_t row) {
  const WeightPart* part = weight.parts.data();
  while (row >= part->rows) row -= part++->rows;
  if (part->unpermuteHeads) {
    const int64_t n = part->rows / part->unpermuteHeads, half = n / 2;
    const int64_t head = row / n, inHead = row % n;
    row = head * n + 2 * (inHead % half) + inHead / half;
  }
  return {part, part->data + row * rowBytes(part->type, part->cols)};
}

void readStored(const Source& source, float* out) {
  const WeightPart& part = *source.part;
  dequantizeRow(part.type, source.blocks, part.cols, out);
  if (part.addScalar != 0)
    for (int64_t i = 0; i < part.cols; ++i) out[i] += part.addScalar;
}

uint16_t floatToBf16(float x) {
  const uint32_t bits = floatToBits(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);  // NaN stays one
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Only float types: bindWeights lets addScalar stand on no other.
void encodeFloats(DType type, const std::vector<float>& row, void* out) {
  for (size_t i = 0; i < row.size(); ++i) {
    if (type == DType::kF32) {
      std::memcpy(static_cast<float*>(out) + i, &row[i], sizeof(float));
    } else {
      const uint16_t bits = type == DType::kF16 ? floatToHalf(row[i]) : floatToBf16(row[i]);
      std::memcpy(static_cast<uint16_t*>(out) + i, &bits, sizeof(bits));
    }
  }
}

}  // namespace

void Weight::readRow(int64_t row, float* out) const { readStored(sourceOf(*this, row), out); }

void Weight::readLinearRow(int64_t row, float* out) const {
  if (!quantize) return readRow(row, out);
  std::vector<uint8_t> blocks(static_cast<size_t>(rowBytes(quantizeType, cols)));
  dequantizeRow(quantizeType, readBlocks(row, blocks.data()), cols, out);
}

const void* Weight::readBlocks(int64_t row, void* scratch) const {
  const Source source = sourceOf(*this, row);
  if (!quantize && source.part->addScalar == 0) return source.blocks;
  std::vector<float> values(static_cast<size_t>(cols));
  readStored(source, values.data());
  if (quantize) {
    quantizeRow(quantizeType, values.data(), cols, scratch);
  } else {
    encodeFloats(source.part->type, values, scratch);
  }
  return scratch;
}

}  // namespace mistralrs
