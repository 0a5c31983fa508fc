// The text files of plan_run, read into what a backend takes.
//
// Weights: a line for each part, parts of a name stacked in order, fields separated by tabs:
//   name path offset bytes type rows cols [unpermute=HEADS] [add=VALUE] [quantize=TYPE]
// Batches: sequences, and `run` after those of one forward pass; the cache lasts from run to run. `pages` once for each KV group
// of the plan, in order; `logits` are tokens of the line, from 0:
//   sequence position=0 tokens=5,6,7 pages=0,1 pages=2 logits=2
//   run
// Empty lines and those that begin with # are skipped.
#pragma once
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "plan/backend.h"
#include "plan/bind_weights.h"
#include "plan/error.h"

namespace mistralrs::plan_run {

[[noreturn]] inline void fail(const std::string& message) { throw Error("invalid_argument", message); }

inline std::string readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error("io", "cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

template <typename Int>
Int integer(const std::string& text) {
  Int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) fail("'" + text + "' is not an integer, or too large");
  return value;
}

inline float number(const std::string& text) {
  char* end = nullptr;
  const float value = std::strtof(text.c_str(), &end);
  if (end == text.c_str() || *end) fail("'" + text + "' is not a number");
  return value;
}

inline std::vector<int32_t> integers(const std::string& text) {
  std::vector<int32_t> values;
  for (const std::string& part : split(text, ',')) values.push_back(integer<int32_t>(part));
  return values;
}

// `key=value` as its two halves.
inline std::pair<std::string, std::string> field(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) fail("'" + text + "' is not key=value");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

inline DType dtype(const std::string& name) {
  const std::optional<DType> type = dtypeByName(name);
  if (!type) fail("unknown type " + name);
  return *type;
}

// fn(line) for the lines of a file that are not empty and no comments; errors name file and line.
template <typename Fn>
void forLines(const std::string& path, const Fn& fn) {
  int lineNumber = 0;
  for (const std::string& line : split(readFile(path), '\n')) {
    ++lineNumber;
    if (line.empty() || line[0] == '#') continue;
    try {
      fn(line);
    } catch (const Error& error) {
      throw Error(error.code, path + ":" + std::to_string(lineNumber) + ": " + error.message);
    }
  }
}

inline std::vector<WeightSpec> readWeights(const std::string& path) {
  std::vector<WeightSpec> specs;
  std::map<std::string, size_t> indexOf;
  forLines(path, [&](const std::string& line) {
    const std::vector<std::string> fields = split(line, '\t');
    if (fields.size() < 7) fail("expected: name path offset bytes type rows cols, separated by tabs");
    WeightPartSpec part{fields[1], integer<int64_t>(fields[2]), integer<int64_t>(fields[3]), dtype(fields[4]),
                        integer<int64_t>(fields[5]), integer<int64_t>(fields[6])};
    const auto [entry, isNew] = indexOf.try_emplace(fields[0], specs.size());
    if (isNew) specs.push_back({fields[0], 0, part.cols, {}});
    WeightSpec& spec = specs[entry->second];
    for (size_t i = 7; i < fields.size(); ++i) {
      const auto [key, value] = field(fields[i]);
      if (key == "unpermute") part.unpermuteHeads = integer<int>(value);
      else if (key == "add") part.addScalar = number(value);
      else if (key == "quantize") spec.quantize = true, spec.quantizeType = dtype(value);
      else fail("unknown field " + key);
    }
    spec.rows += part.rows;
    spec.parts.push_back(std::move(part));
  });
  return specs;
}

inline Batch emptyBatch(size_t groups) {
  Batch batch;
  batch.queryStart = {0};
  batch.pageTables.assign(groups, {{0}, {}});
  return batch;
}

inline void addSequence(const std::vector<std::string>& words, Batch& batch) {
  const int32_t begin = batch.numTokens();
  int32_t position = 0;
  size_t group = 0;
  std::vector<int32_t> logits;
  for (size_t i = 1; i < words.size(); ++i) {
    const auto [key, value] = field(words[i]);
    if (key == "position") position = integer<int32_t>(value);
    else if (key == "logits") logits = integers(value);
    else if (key == "tokens") {
      for (const int32_t token : integers(value)) batch.tokens.push_back(token);
    } else if (key == "pages" && group < batch.pageTables.size()) {
      Batch::PageTable& table = batch.pageTables[group++];
      for (const int32_t page : integers(value)) table.pages.push_back(page);
      table.start.push_back(static_cast<int32_t>(table.pages.size()));
    } else fail("unexpected " + words[i]);
  }
  if (group < batch.pageTables.size()) fail(format("a sequence has pages for each of the %zu KV groups", batch.pageTables.size()));
  batch.positions.resize(batch.tokens.size());
  std::iota(batch.positions.begin() + begin, batch.positions.end(), position);
  batch.queryStart.push_back(batch.numTokens());
  batch.kvLength.push_back(position + batch.numTokens() - begin);
  for (const int32_t row : logits) batch.logitRows.push_back(begin + row);
}

inline std::vector<Batch> readBatches(const std::string& path, size_t groups) {
  std::vector<Batch> batches;
  Batch batch = emptyBatch(groups);
  forLines(path, [&](const std::string& line) {
    const std::vector<std::string> words = split(line, ' ');
    if (words[0] == "sequence") return addSequence(words, batch);
    if (line != "run") fail("expected sequence or run");
    batches.push_back(std::exchange(batch, emptyBatch(groups)));
  });
  if (batches.empty() || batch.numTokens() > 0) fail(path + " must end with run");
  return batches;
}

}  // namespace mistralrs::plan_run
