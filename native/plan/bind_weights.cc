#include "plan/bind_weights.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "plan/error.h"
#include "plan/mapped_file.h"

namespace mistralrs {
namespace {

std::string shape(int64_t rows, int64_t cols) { return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]"; }

bool isFloat(DType type) { return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16; }

class Binder {
 public:
  Weight bind(const WeightDecl& decl, const WeightSpec& spec) {
    const auto fail = [&](const std::string& message) { throw Error("invalid_weights", spec.name + ": " + message); };
    if (spec.rows != decl.rows || spec.cols != decl.cols)
      fail("is " + shape(spec.rows, spec.cols) + ", the plan needs " + shape(decl.rows, decl.cols));
    Weight weight{spec.name, spec.rows, spec.cols, {}, spec.quantize, spec.quantizeType};
    if (spec.quantize) checkQuantize(spec, fail);
    int64_t rows = 0;
    for (const WeightPartSpec& part : spec.parts) {
      checkPart(part, spec.cols, fail);
      weight.parts.push_back(map(part, fail));
      rows += part.rows;
    }
    if (rows != spec.rows) fail("its parts have " + std::to_string(rows) + " rows in all, needs " + std::to_string(spec.rows));
    return weight;
  }

 private:
  template <typename Fail>
  static void checkQuantize(const WeightSpec& spec, const Fail& fail) {
    const DTypeInfo& to = info(spec.quantizeType);
    if (spec.quantizeType != DType::kQ4_K && spec.quantizeType != DType::kQ5_0 && spec.quantizeType != DType::kQ6_K &&
        spec.quantizeType != DType::kQ8_0)
      fail(std::string("cannot be quantized to ") + to.name + " while loading; Q4_K, Q5_0, Q6_K and Q8_0 can");
    if (spec.cols % to.blockElements)
      fail(std::string(to.name) + " needs a multiple of " + std::to_string(to.blockElements) + " columns, there are " +
           std::to_string(spec.cols));
  }

  template <typename Fail>
  static void checkPart(const WeightPartSpec& part, int64_t cols, const Fail& fail) {
    const DTypeInfo& type = info(part.type);
    if (type.blockBytes == 0) fail("is of an unknown type");
    if (part.rows < 1 || part.cols != cols) fail("a part is " + shape(part.rows, part.cols) + ", needs [1 or more, " + std::to_string(cols) + "]");
    if (cols % type.blockElements)
      fail(std::string(type.name) + " needs a multiple of " + std::to_string(type.blockElements) + " columns, there are " +
           std::to_string(cols));
    const int64_t rowSize = rowBytes(part.type, cols);
    if (part.bytes / rowSize != part.rows || part.bytes % rowSize)
      fail(std::string(type.name) + " " + shape(part.rows, part.cols) + " takes " + std::to_string(rowSize) + " bytes a row, the part has " +
           std::to_string(part.bytes) + " bytes in all");
    if (part.unpermuteHeads < 0 || (part.unpermuteHeads && part.rows % (int64_t{2} * part.unpermuteHeads)))
      fail(std::to_string(part.rows) + " rows do not fall into " + std::to_string(part.unpermuteHeads) + " heads of an even size");
    if (part.addScalar != 0 && (!isFloat(part.type) || !std::isfinite(part.addScalar)))
      fail("addScalar needs a float type and a finite value");
  }

  template <typename Fail>
  WeightPart map(const WeightPartSpec& part, const Fail& fail) {
    std::shared_ptr<MappedFile>& file = files_[part.path];
    if (!file) file = MappedFile::open(part.path);
    if (part.offset < 0 || part.offset > file->size() || part.bytes > file->size() - part.offset)
      fail("bytes " + std::to_string(part.offset) + " to " + std::to_string(part.offset) + " + " + std::to_string(part.bytes) +
           " lie outside " + part.path + ", which has " + std::to_string(file->size()) + " (truncated download?)");
    return {file, file->data() + part.offset, part.type, part.rows, part.cols, part.unpermuteHeads, part.addScalar};
  }

  std::unordered_map<std::string, std::shared_ptr<MappedFile>> files_;
};

}  // namespace

std::vector<Weight> bindWeights(const Plan& plan, const std::vector<WeightSpec>& specs) {
  std::unordered_map<std::string, const WeightSpec*> byName;
  for (const WeightSpec& spec : specs)
    if (!byName.emplace(spec.name, &spec).second) throw Error("invalid_weights", spec.name + ": is given twice");
  Binder binder;
  std::vector<Weight> weights;
  for (const WeightDecl& decl : plan.weights) {
    const auto found = byName.find(decl.name);
    if (found == byName.end()) throw Error("invalid_weights", decl.name + ": the plan needs it, none is given");
    weights.push_back(binder.bind(decl, *found->second));
    byName.erase(found);
  }
  if (!byName.empty()) throw Error("invalid_weights", byName.begin()->first + ": the plan has no such weight");
  return weights;
}

int64_t storedBytes(const std::vector<Weight>& weights) {
  int64_t bytes = 0;
  for (const Weight& weight : weights)
    for (const WeightPart& part : weight.parts) bytes += part.rows * rowBytes(part.type, part.cols);
  return bytes;
}

}  // namespace mistralrs
