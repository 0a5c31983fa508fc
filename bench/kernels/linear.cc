// Times the linear kernels: one row of activations (decode, GB/s of packed weights against the measured read bandwidth) and many
// (prefill, GMAC/s). Weights are replicated to 192 MB for one row, so that they come from memory as in a model.
//   g++ -std=c++20 -O2 -Inative bench/kernels/linear.cc native/cpu/kernel_library.cc native/plan/d{type,equantize}.cc -o build/native/linear
//   build/native/linear [--isa avx512] [--threads 1] [--types 3,12,14] [--shapes 576x1536,1024x3072] [--rows 1,8,64,512] [--seconds 0.3]
// Types are ggml's ids, shapes are columns x rows of the weight. Median of n; the spread is (p90 - p10) / median.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "cpu/kernel_library.h"
#include "plan/error.h"
#include "plan/weights.h"

namespace {

using namespace mistralrs;

struct Options {
  std::string isa;
  int threads = 1;
  std::vector<int> types{3, 12, 14, 8, 30}, rows{1, 4, 16, 64, 512};
  std::vector<std::pair<int, int>> shapes{{576, 1536}, {1024, 3072}, {3072, 1024}};
  double seconds = 0.3;
};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, at);) parts.push_back(part);
  return parts;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    const auto numbers = [&] {
      std::vector<int> all;
      for (const std::string& part : split(value, ',')) all.push_back(std::stoi(part));
      return all;
    };
    if (name == "--isa") options.isa = value;
    else if (name == "--threads") options.threads = std::stoi(value);
    else if (name == "--types") options.types = numbers();
    else if (name == "--rows") options.rows = numbers();
    else if (name == "--seconds") options.seconds = std::stod(value);
    else if (name == "--shapes") {
      options.shapes.clear();
      for (const std::string& part : split(value, ',')) {
        const std::vector<std::string> sides = split(part, 'x');
        options.shapes.emplace_back(std::stoi(sides.at(0)), std::stoi(sides.at(1)));
      }
    } else {
      std::fprintf(stderr, "unknown option %s\n", name.c_str());
      std::exit(2);
    }
  }
  return options;
}

struct AlignedBytes {
  uint8_t* data;
  explicit AlignedBytes(int64_t bytes) : data(static_cast<uint8_t*>(std::aligned_alloc(64, static_cast<size_t>((bytes + 63) / 64 * 64)))) {
    std::memset(data, 0, static_cast<size_t>(bytes));
  }
  ~AlignedBytes() { std::free(data); }
  AlignedBytes(const AlignedBytes&) = delete;
};

template <typename Fn>
void onThreads(int threads, Fn fn) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(fn, i);
  fn(0);
  for (std::thread& thread : others) thread.join();
}

struct Timing {
  double seconds, spread;
  size_t n;
};

template <typename Fn>
Timing measure(double budget, Fn run) {
  using Clock = std::chrono::steady_clock;
  run();
  std::vector<double> times;
  for (double total = 0; total < budget || times.size() < 5;) {
    const auto start = Clock::now();
    run();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += times.back();
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  return {median, (times[times.size() * 9 / 10] - times[times.size() / 10]) / median, times.size()};
}

std::string cpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown CPU";
}

double readBandwidth(int threads, double budget) {
  constexpr int64_t kBytes = 192 << 20;
  const AlignedBytes memory(kBytes);
  volatile uint64_t sink = 0;
  const Timing timing = measure(budget, [&] {
    onThreads(threads, [&](int thread) {
      using Words = uint64_t __attribute__((vector_size(16)));
      const int64_t count = kBytes / 64 / threads;
      const uint8_t* line = memory.data + thread * count * 64;
      Words a{}, b{}, c{}, d{};
      for (const uint8_t* const end = line + count * 64; line < end; line += 64) {
        __builtin_prefetch(line + 4096);
        Words words[4];
        std::memcpy(words, line, 64);
        a += words[0], b += words[1], c += words[2], d += words[3];
      }
      a += b + c + d;
      sink = sink + a[0] + a[1];
    });
  });
  return static_cast<double>(kBytes) / timing.seconds;
}

void benchmark(const KernelTable& kernels, const Options& options, int type, int cols, int weightRows, int rows, double bandwidth) {
  const int64_t panelBytes = kernels.panelBytes(type, cols);
  const int panels = (weightRows + kPanelRows - 1) / kPanelRows;
  const int64_t weightBytes = panels * panelBytes;
  const auto copies = static_cast<int>(std::max<int64_t>(1, (rows <= 16 ? 192 << 20 : 8 << 20) / weightBytes));
  const AlignedBytes memory(copies * weightBytes);
  std::mt19937 random(1);
  const int64_t sourceBytes = rowBytes(static_cast<DType>(type), cols);
  std::vector<uint8_t> source(static_cast<size_t>(16 * sourceBytes));
  for (uint8_t& byte : source) byte = static_cast<uint8_t>(random() & 0x3f);  // small enough in every float field
  const void* sourceRows[kPanelRows];
  for (int r = 0; r < kPanelRows; ++r) sourceRows[r] = source.data() + r * sourceBytes;
  kernels.packPanel(type, cols, sourceRows, memory.data);
  for (int64_t panel = 1; panel < static_cast<int64_t>(copies) * panels; ++panel)
    std::memcpy(memory.data + panel * panelBytes, memory.data, static_cast<size_t>(panelBytes));

  std::vector<float> x(static_cast<size_t>(rows) * static_cast<size_t>(cols));
  for (float& value : x) value = static_cast<float>(random() % 1000) / 500 - 1;
  const bool quant = kernels.usesQuantRows(type) != 0;
  const AlignedBytes quantized(quant ? kernels.quantRowsBytes(rows, cols) : 64);
  const QuantRows quantRows{quantized.data, rows, cols};
  if (quant)
    for (int t = 0; t < rows; ++t) kernels.quantizeRow(x.data() + static_cast<int64_t>(t) * cols, &quantRows, t);
  const FloatRows floatRows{x.data(), cols};
  std::vector<float> out(static_cast<size_t>(rows) * static_cast<size_t>(weightRows));

  const Timing timing = measure(options.seconds, [&] {
    onThreads(options.threads, [&](int thread) {
      const int begin = panels * thread / options.threads, end = panels * (thread + 1) / options.threads;
      for (int copy = 0; copy < copies; ++copy) {
        const PackedWeight w{type, weightRows, cols, panelBytes, memory.data + copy * weightBytes};
        if (quant)
          kernels.linearQuant(&w, &quantRows, begin, end, out.data(), weightRows);
        else
          kernels.linearFloat(&w, &floatRows, rows, begin, end, out.data(), weightRows);
      }
    });
  });
  const double seconds = timing.seconds / copies, bytes = static_cast<double>(weightBytes) / seconds;
  const double macs = static_cast<double>(weightRows) * cols * rows / seconds;
  std::printf("%-7s %-6s %5dx%-6d %5d %10.1f %8.1f %6.0f%% %9.1f %7.1f%% %5zu\n", kernels.name, info(static_cast<DType>(type)).name, cols,
              weightRows, rows, seconds * 1e6, bytes / 1e9, 100 * bytes / bandwidth, macs / 1e9, 100 * timing.spread, timing.n);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const KernelTable& kernels = openKernels(options.isa);
  const double bandwidth = readBandwidth(options.threads, options.seconds);
  std::printf("%s, %u CPUs, %d threads, read bandwidth %.1f GB/s\n", cpuName().c_str(), std::thread::hardware_concurrency(),
              options.threads, bandwidth / 1e9);
  std::printf("%-7s %-6s %5s %-6s %5s %10s %8s %7s %9s %8s %5s\n", "isa", "type", "cols", "rows", "T", "us", "GB/s", "of max", "GMAC/s",
              "spread", "n");
  for (const int type : options.types)
    for (const auto& [cols, weightRows] : options.shapes)
      for (const int rows : options.rows) {
        if (cols % info(static_cast<DType>(type)).blockElements != 0) continue;
        benchmark(kernels, options, type, cols, weightRows, rows, bandwidth);
      }
}
