#include "addon/read_spec.h"

#include <limits>
#include <utility>

namespace mistralrs {
namespace {

constexpr int32_t kMaxInt = std::numeric_limits<int32_t>::max();
constexpr int kMaxThreads = 1024;

int32_t toInt32(const Argument& argument, int32_t min = 0, int32_t max = kMaxInt) {
  return static_cast<int32_t>(toInteger(argument, min, max));
}

DType toDType(const Argument& argument) {
  const std::string name = toText(argument);
  const std::optional<DType> type = dtypeByName(name);
  if (!type) throw Error("invalid_argument", format("%s is '%s', which is no tensor type", argument.name.c_str(), name.c_str()));
  return *type;
}

// One of two names: true for the second.
bool toChoice(const Argument& argument, const char* first, const char* second) {
  const std::string name = toText(argument);
  if (name != first && name != second)
    throw Error("invalid_argument", format("%s is '%s': must be '%s' or '%s'", argument.name.c_str(), name.c_str(), first, second));
  return name == second;
}

LoadSpec::Backend toBackend(const Argument& argument) {
  const std::string name = toText(argument);
  if (name == "reference") return LoadSpec::Backend::kReference;
  if (name == "cpu") return LoadSpec::Backend::kCpu;
  if (name == "cuda") return LoadSpec::Backend::kCuda;
  throw Error("invalid_argument", format("%s is '%s': must be 'reference', 'cpu' or 'cuda'", argument.name.c_str(), name.c_str()));
}

void readTransforms(const Argument& transforms, WeightPartSpec& part) {
  if (transforms.isAbsent()) return;
  for (const Argument& transform : elements(transforms)) {
    if (toChoice(property(transform, "kind"), "unpermuteRows", "addScalar")) {
      part.addScalar += static_cast<float>(toNumber(property(transform, "value")));
    } else {
      if (part.unpermuteHeads) throw Error("invalid_argument", transform.name + ": the rows of a part can be unpermuted once");
      part.unpermuteHeads = toInt32(property(transform, "heads"), 1);
    }
  }
}

WeightSpec readWeightSpec(const Argument& weight) {
  WeightSpec spec;
  spec.name = toText(property(weight, "name"));
  spec.rows = toInteger(property(weight, "rows"), 1, kMaxSafeInteger);
  spec.cols = toInteger(property(weight, "cols"), 1, kMaxSafeInteger);
  for (const Argument& part : elements(property(weight, "parts"))) {
    WeightPartSpec& to = spec.parts.emplace_back();
    to.path = toText(property(part, "path"));
    to.offset = toInteger(property(part, "offset"), 0, kMaxSafeInteger);
    to.bytes = toInteger(property(part, "bytes"), 0, kMaxSafeInteger);
    to.type = toDType(property(part, "type"));
    to.rows = toInteger(property(part, "rows"), 1, kMaxSafeInteger);
    to.cols = toInteger(property(part, "cols"), 1, kMaxSafeInteger);
    readTransforms(property(part, "transforms"), to);
  }
  const Argument quantize = property(weight, "quantize");
  spec.quantize = !quantize.isAbsent();
  if (spec.quantize) spec.quantizeType = toDType(quantize);
  return spec;
}

}  // namespace

LoadSpec readLoadSpec(const Argument& spec) {
  LoadSpec result;
  result.plan = toText(property(spec, "plan"));
  for (const Argument& weight : elements(property(spec, "weights"))) result.weights.push_back(readWeightSpec(weight));
  result.backend = toBackend(property(spec, "backend"));
  BackendOptions& options = result.options;
  if (const Argument isa = property(spec, "isa"); !isa.isAbsent()) options.isa = toText(isa);
  options.threads = toInt32(property(spec, "threads"), 1, kMaxThreads);
  options.maxTokens = toInt32(property(spec, "maxTokens"), 1);
  options.maxSequences = toInt32(property(spec, "maxSequences"), 1);
  options.maxLogitRows = toInt32(property(spec, "maxLogitRows"), 1);
  result.maxSlots = toInt32(property(spec, "maxSlots"), 1, 1 << 20);
  const Argument kv = property(spec, "kv");
  options.numPages = toInteger(property(kv, "numPages"), 0, kMaxInt);
  options.pageBytes = toInteger(property(kv, "pageBytes"), 0, kMaxSafeInteger);
  options.kvType = toChoice(property(kv, "type"), "f32", "f16") ? KvType::kF16 : KvType::kF32;
  if (const Argument poison = property(kv, "poison"); !poison.isAbsent()) options.poison = toBoolean(poison);
  return result;
}

Batch readStepBatch(const Argument& batch) {
  Batch result;
  result.tokens = toVector<int32_t>(property(batch, "tokens"));
  result.positions = toVector<int32_t>(property(batch, "positions"));
  result.queryStart = toVector<int32_t>(property(batch, "queryStart"));
  result.kvLength = toVector<int32_t>(property(batch, "kvLength"));
  for (const Argument& table : elements(property(batch, "pageTables")))
    result.pageTables.push_back({toVector<int32_t>(property(table, "start")), toVector<int32_t>(property(table, "pages"))});
  result.logitRows = toVector<int32_t>(property(batch, "logitRows"));
  return result;
}

SampleBatch readSampleBatch(const Argument& batch) {
  SampleBatch result;
  result.rows = toVector<int32_t>(property(batch, "rows"));
  result.slots = toVector<int32_t>(property(batch, "slots"));
  result.positions = toVector<int32_t>(property(batch, "positions"));
  if (const Argument masks = property(batch, "masks"); !masks.isAbsent()) {
    result.masks.emplace();
    result.masks->words = toVector<uint32_t>(property(masks, "words"));
    result.masks->masked = toVector<uint8_t>(property(masks, "masked"));
  }
  if (const Argument following = property(batch, "following"); !following.isAbsent()) {
    result.following.emplace();
    result.following->start = toVector<int32_t>(property(following, "start"));
    result.following->tokens = toVector<int32_t>(property(following, "tokens"));
  }
  return result;
}

ScoreBatch readScoreBatch(const Argument& batch) {
  return {toVector<int32_t>(property(batch, "rows")), toVector<int32_t>(property(batch, "tokens")), toInt32(property(batch, "top"))};
}

SlotOptions readSlotOptions(const Argument& options) {
  SlotOptions result;
  result.temperature = toNumber(property(options, "temperature"));
  result.topK = toInt32(property(options, "topK"), -kMaxInt);
  result.topP = toNumber(property(options, "topP"));
  result.minP = toNumber(property(options, "minP"));
  result.frequencyPenalty = toNumber(property(options, "frequencyPenalty"));
  result.presencePenalty = toNumber(property(options, "presencePenalty"));
  result.repetitionPenalty = toNumber(property(options, "repetitionPenalty"));
  if (const Argument history = property(options, "history"); !history.isAbsent()) result.history = toVector<int32_t>(history);
  if (const Argument ids = property(options, "biasIds"); !ids.isAbsent()) result.biasIds = toVector<int32_t>(ids);
  if (const Argument values = property(options, "biasValues"); !values.isAbsent()) result.biasValues = toVector<float>(values);
  if (const Argument dry = property(options, "dry"); !dry.isAbsent()) {
    result.dry.multiplier = toNumber(property(dry, "multiplier"));
    result.dry.base = toNumber(property(dry, "base"));
    result.dry.allowedLength = toInt32(property(dry, "allowedLength"), 0);
    result.dry.breakers = toVector<int32_t>(property(dry, "breakers"));
  }
  result.seed = static_cast<uint64_t>(toInteger(property(options, "seed"), 0, kMaxSafeInteger));
  result.choice = toInt32(property(options, "choice"));
  result.topLogprobs = toInt32(property(options, "topLogprobs"), 0, 20);
  return result;
}

}  // namespace mistralrs
