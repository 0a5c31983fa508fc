#include "plan/plan_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "plan/error.h"

namespace mistralrs {
namespace {

std::string quoted(std::string_view text) {
  constexpr size_t kLongest = 80;  // of a value in a message
  return "'" + std::string(text.substr(0, kLongest)) + (text.size() > kLongest ? "...'" : "'");
}

}  // namespace

void failPlan(int line, std::string_view what, const std::string& message) {
  throw Error("invalid_plan", "line " + std::to_string(line) + " (" + std::string(what) + "): " + message);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
    if (text.empty()) parts.push_back(text);
  }
  return parts;
}

Fields::Fields(int line, std::string what, std::string_view text) : line_(line), what_(std::move(what)) {
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) return;
    const std::string_view word = text.substr(0, text.find(' '));
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos || equals == 0) fail("expected key=value, got " + quoted(word));
    const std::string_view key = word.substr(0, equals);
    const bool toEnd = key == "name";
    const std::string_view value = toEnd ? text.substr(equals + 1) : word.substr(equals + 1);
    if (optional(key)) fail(std::string(key) + " is given twice");
    fields_.emplace_back(key, value);
    text.remove_prefix(toEnd ? text.size() : word.size());
  }
}

std::optional<std::string_view> Fields::optional(std::string_view key) {
  const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const auto& field) { return field.first == key; });
  if (found == fields_.end()) return std::nullopt;
  const std::string_view value = found->second;
  fields_.erase(found);
  return value;
}

std::string_view Fields::text(std::string_view key) {
  const auto value = optional(key);
  if (!value) fail(std::string(key) + " is missing");
  return *value;
}

int64_t Fields::integer(std::string_view key, int64_t min, int64_t max) { return parseInteger(key, text(key), min, max); }

float Fields::number(std::string_view key) { return parseNumber(key, text(key)); }

std::vector<float> Fields::numbers(std::string_view key) {
  std::vector<float> values;
  for (std::string_view part : split(text(key), ',')) values.push_back(parseNumber(key, part));
  return values;
}

int64_t Fields::parseInteger(std::string_view key, std::string_view value, int64_t min, int64_t max) const {
  int64_t result = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || end != value.data() + value.size() || result < min || result > max)
    fail(std::string(key) + " is " + quoted(value) + ", needs an integer of " + std::to_string(min) + " to " + std::to_string(max));
  return result;
}

float Fields::parseNumber(std::string_view key, std::string_view value) const {
  float result = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(result))
    fail(std::string(key) + " is " + quoted(value) + ", needs a finite number");
  return result;
}

int Fields::parseId(std::string_view key, std::string_view value, char prefix, size_t count) const {
  int64_t id = -1;
  if (!value.empty() && value[0] == prefix) {
    const auto [end, error] = std::from_chars(value.data() + 1, value.data() + value.size(), id);
    if (error != std::errc() || end != value.data() + value.size()) id = -1;
  }
  if (id < 0 || id >= static_cast<int64_t>(count))
    fail(std::string(key) + " is " + quoted(value) + ", needs a declared " + prefix + "N; there are " + std::to_string(count));
  return static_cast<int>(id);
}

void Fields::finish() const {
  if (!fields_.empty()) fail("unknown key " + quoted(fields_.front().first));
}

}  // namespace mistralrs
