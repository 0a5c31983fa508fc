// Runs a plan over batches without JavaScript, for sanitizers, profilers and comparisons of backends:
//   plan_run --plan FILE --weights FILE --batch FILE [--backend cpu|reference|cuda] [--isa generic|avx2|avx512]
//            [--threads N] [--stop OP] [--dump bN] [--kv f16|f32] [--poison] [--repeat N] [--against BACKEND --tolerance X]
// Plan: docs/plan.md; weights and batches: plan_run_files.h. Prints, for each run, the time and the best tokens of each logit row,
// and buffer bN with `--dump`. `--stop` is the index of the last op to run; `--repeat` runs all batches again.
// `--against` compares every op with that backend instead (plan_run_compare.h) and fails beyond the tolerance.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>

#include "plan/batch.h"
#include "plan/parser.h"
#include "tools/plan_run_compare.h"
#include "tools/plan_run_files.h"

using namespace mistralrs;
using namespace mistralrs::plan_run;

namespace {

// Limits and pool that just hold the batches.
void fit(const Plan& plan, const std::vector<Batch>& batches, BackendOptions& options) {
  options.numPages = options.maxLogitRows = 1;
  for (const Batch& batch : batches) {
    options.maxTokens = std::max(options.maxTokens, batch.numTokens());
    options.maxSequences = std::max(options.maxSequences, batch.numSequences());
    options.maxLogitRows = std::max(options.maxLogitRows, static_cast<int>(batch.logitRows.size()));
    for (const Batch::PageTable& table : batch.pageTables)
      for (const int32_t page : table.pages) options.numPages = std::max<int64_t>(options.numPages, int64_t{page} + 1);
  }
  options.pageBytes = 64;
  for (const KvGroup& group : plan.groups) {
    const int64_t elements = int64_t{group.layers} * group.pageTokens * group.kvHeads * group.headDim * 2;
    const int64_t bytes = elements * (options.kvType == KvType::kF16 ? 2 : 4);
    options.pageBytes = std::max(options.pageBytes, (bytes + 63) / 64 * 64);
  }
}

void printBest(int row, const float* logits, int64_t vocab) {
  std::vector<int> order(static_cast<size_t>(vocab));
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + std::min<int64_t>(5, vocab);
  const auto rank = [&](int id) { return std::isnan(logits[id]) ? std::numeric_limits<float>::infinity() : logits[id]; };
  std::partial_sort(order.begin(), end, order.end(), [&](int a, int b) { return rank(a) > rank(b); });
  std::printf("logits %d:", row);
  for (auto id = order.begin(); id != end; ++id) std::printf(" %d=%.9g", *id, logits[*id]);
  std::printf("\n");
}

void printBuffer(const Plan& plan, int buffer, const std::vector<float>& values) {
  const auto width = static_cast<size_t>(plan.buffers[buffer].width);
  std::printf("b%d [%zu, %zu]\n", buffer, values.size() / width, width);
  for (size_t i = 0; i < values.size(); ++i) std::printf("%.9g%c", values[i], (i + 1) % width == 0 ? '\n' : ' ');
}

std::map<std::string, std::string> readArguments(int argc, char** argv) {
  std::map<std::string, std::string> arguments{
      {"plan", ""}, {"weights", ""}, {"batch", ""}, {"backend", "cpu"}, {"isa", ""}, {"threads", "1"},
      {"stop", ""}, {"dump", ""}, {"kv", "f32"}, {"poison", ""}, {"repeat", "1"}, {"against", ""}, {"tolerance", "0"}};
  for (int i = 1; i < argc; ++i) {
    const std::string name = std::string(argv[i]).starts_with("--") ? argv[i] + 2 : "";
    if (!arguments.contains(name)) fail(std::string("unknown argument ") + argv[i]);
    if (name != "poison" && i + 1 == argc) fail("--" + name + " needs a value");
    arguments[name] = name == "poison" ? "yes" : argv[++i];
  }
  for (const char* name : {"plan", "weights", "batch"})
    if (arguments[name].empty()) fail(std::string("--") + name + " is missing");
  return arguments;
}

int opIndex(const std::string& text, const Plan& plan) {
  const int last = static_cast<int>(plan.ops.size()) - 1;
  const int index = text.empty() ? last : integer<int>(text);
  if (index < 0 || index > last) fail(format("--stop must be in 0..%d", last));
  return index;
}

// -1: none.
int bufferIndex(const std::string& name, const Plan& plan) {
  if (name.empty()) return -1;
  for (size_t i = 0; i < plan.buffers.size(); ++i)
    if (name == "b" + std::to_string(i)) return static_cast<int>(i);
  fail("--dump " + name + ": the plan has no such buffer");
}

std::unique_ptr<Backend> load(const std::string& backend, const Plan& plan, const std::string& weights, const BackendOptions& options) {
  const std::map<std::string, decltype(&makeCpuBackend)> makers{
      {"cpu", makeCpuBackend}, {"reference", makeReferenceBackend}, {"cuda", makeCudaBackend}};
  const auto make = makers.find(backend);
  if (make == makers.end()) fail("--backend is cpu, reference or cuda");
  return make->second(plan, bindWeights(plan, readWeights(weights)), options, {});
}

void run(std::map<std::string, std::string> arguments) {
  const Plan plan = parsePlan(readFile(arguments["plan"]));
  const std::vector<Batch> batches = readBatches(arguments["batch"], plan.groups.size());
  const std::string kv = arguments["kv"];
  if (kv != "f16" && kv != "f32") fail("--kv is f16 or f32");
  BackendOptions options;
  options.threads = integer<int>(arguments["threads"]);
  options.isa = arguments["isa"];
  options.poison = !arguments["poison"].empty();
  options.kvType = kv == "f16" ? KvType::kF16 : KvType::kF32;
  fit(plan, batches, options);
  validateOptions(plan, options);
  for (const Batch& batch : batches) validateBatch(plan, options, 0, batch);
  const int lastOp = opIndex(arguments["stop"], plan), dump = bufferIndex(arguments["dump"], plan);
  const int repeats = integer<int>(arguments["repeat"]);

  const std::unique_ptr<Backend> backend = load(arguments["backend"], plan, arguments["weights"], options);
  std::printf("%s, %d threads, %.1f MB of weights\n", backend->isa(), options.threads, static_cast<double>(backend->weightBytes()) / 1e6);
  if (const std::string other = arguments["against"]; !other.empty()) {
    const std::unique_ptr<Backend> expected = load(other, plan, arguments["weights"], options);
    return compareBackends(plan, batches, *backend, *expected, repeats, number(arguments["tolerance"]));
  }
  const std::atomic<bool> interrupt{false};
  for (int repeat = 0; repeat < repeats; ++repeat)
    for (size_t i = 0; i < batches.size(); ++i) {
      const auto started = std::chrono::steady_clock::now();
      backend->forward(batches[i], lastOp, interrupt);
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - started;
      std::printf("run %zu: %d tokens, %.3f ms\n", i, batches[i].numTokens(), took.count());
      const int rows = lastOp + 1 < static_cast<int>(plan.ops.size()) ? 0 : static_cast<int>(batches[i].logitRows.size());
      for (int row = 0; row < rows; ++row) printBest(row, backend->logits(row), plan.vocab);
      if (dump >= 0) printBuffer(plan, dump, backend->readBuffer(dump));
    }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(readArguments(argc, argv));
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.code.c_str(), error.message.c_str());
    return 1;
  }
}
