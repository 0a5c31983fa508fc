// The one exception native code throws; it reaches JavaScript as NativeError of runtime/native.ts.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

namespace mistralrs {

struct Error : std::exception {
  std::string code;     // one of NativeError.code in runtime/native.ts
  std::string message;  // names op, shapes, weight or file
  Error(std::string code, std::string message) : code(std::move(code)), message(std::move(message)) {}
  const char* what() const noexcept override { return message.c_str(); }
};

// Formats like printf into a std::string (messages of errors).
__attribute__((format(printf, 1, 2))) inline std::string format(const char* pattern, ...) {
  va_list args, again;
  va_start(args, pattern);
  va_copy(again, args);
  std::string text(static_cast<size_t>(std::vsnprintf(nullptr, 0, pattern, args)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  va_end(args);
  return text;
}

}  // namespace mistralrs
