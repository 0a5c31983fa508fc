// The key=value arguments of one statement of a plan.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mistralrs {

// A statement's place: `line` counts from 1, `what` is its first words ("op linear"). Throws Error `invalid_plan`.
[[noreturn]] void failPlan(int line, std::string_view what, const std::string& message);

class Fields {
 public:
  // `text`: key=value, separated by spaces; the value of `name` runs to the end of the line.
  Fields(int line, std::string what, std::string_view text);

  [[noreturn]] void fail(const std::string& message) const { failPlan(line_, what_, message); }
  int line() const { return line_; }

  // Each takes its field away. Those without `optional` in the name fail when the key is absent.
  std::optional<std::string_view> optional(std::string_view key);
  std::string_view text(std::string_view key);
  int64_t integer(std::string_view key, int64_t min, int64_t max);
  float number(std::string_view key);  // finite
  std::vector<float> numbers(std::string_view key);

  // Value parsers for what is not a field of its own; `key` names the field in errors.
  int64_t parseInteger(std::string_view key, std::string_view value, int64_t min, int64_t max) const;
  float parseNumber(std::string_view key, std::string_view value) const;
  // `<prefix><index>` of something declared: 0 <= index < count.
  int parseId(std::string_view key, std::string_view value, char prefix, size_t count) const;

  // Fails when a field was not taken: a key the statement does not have.
  void finish() const;

 private:
  int line_;
  std::string what_;
  std::vector<std::pair<std::string_view, std::string_view>> fields_;
};

// The parts of `text` between `separator`s; an empty text has none.
std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace mistralrs
