#include <cstdio>
#include <cstring>

#include "testing/testing.h"

namespace mistralrs::testing {

static int failures = 0;

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

void fail(const char* file, int line, const std::string& message) {
  ++failures;
  std::printf("  %s:%d: %s\n", file, line, message.c_str());
}

static bool selected(const char* name, int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (std::strstr(name, argv[i])) return true;
  return argc == 1;
}

}  // namespace mistralrs::testing

int main(int argc, char** argv) {
  using namespace mistralrs::testing;
  int failedCases = 0, ran = 0;
  for (const Case& test : cases()) {
    if (!selected(test.name, argc, argv)) continue;
    const int before = failures;
    try {
      test.run();
    } catch (const mistralrs::Error& error) {
      fail(test.name, 0, "threw " + error.code + ": " + error.message);
    }
    ++ran;
    failedCases += failures > before;
    std::printf("%s %s\n", failures > before ? "FAIL" : "ok  ", test.name);
    std::fflush(stdout);
  }
  std::printf("%d of %d cases passed\n", ran - failedCases, ran);
  return failedCases > 0;
}
