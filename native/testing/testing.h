// The harness of the native tests: TEST registers a case, CHECK* report and go on. Each folder's *_test.cc files make one
// executable (native_tests_<folder>); its arguments select the cases whose name contains one of them.
#pragma once
#include <cmath>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "plan/error.h"

namespace mistralrs::testing {

struct Case {
  const char* name;
  void (*run)();
};
std::vector<Case>& cases();
void fail(const char* file, int line, const std::string& message);

struct Register {
  Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

template <typename A, typename B>
void checkEqual(const A& a, const B& b, const char* text, const char* file, int line) {
  if (a == b) return;
  std::ostringstream out;
  out << text << ": " << a << " != " << b;
  fail(file, line, out.str());
}

inline void checkNear(double a, double b, double tolerance, const char* text, const char* file, int line) {
  if (std::fabs(a - b) <= tolerance) return;  // false for NaN
  std::ostringstream out;
  out << text << ": " << a << " is not within " << tolerance << " of " << b;
  fail(file, line, out.str());
}

// `run` must throw Error with this code and a message that contains `part`.
inline void checkError(const std::function<void()>& run, const std::string& code, const std::string& part, const char* file,
                       int line) {
  try {
    run();
  } catch (const Error& error) {
    if (error.code != code || error.message.find(part) == std::string::npos)
      fail(file, line, "expected " + code + " '" + part + "', got " + error.code + " '" + error.message + "'");
    return;
  }
  fail(file, line, "expected " + code + " '" + part + "', nothing was thrown");
}

}  // namespace mistralrs::testing

#define TEST(name)                                                             \
  static void name();                                                          \
  static const ::mistralrs::testing::Register register_##name(#name, name);    \
  static void name()
#define CHECK(condition) \
  do { if (!(condition)) ::mistralrs::testing::fail(__FILE__, __LINE__, #condition); } while (0)
#define CHECK_EQ(a, b) ::mistralrs::testing::checkEqual((a), (b), #a " == " #b, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, tolerance) ::mistralrs::testing::checkNear((a), (b), (tolerance), #a, __FILE__, __LINE__)
#define CHECK_ERROR(code, part, ...) \
  ::mistralrs::testing::checkError([&] { __VA_ARGS__; }, (code), (part), __FILE__, __LINE__)
