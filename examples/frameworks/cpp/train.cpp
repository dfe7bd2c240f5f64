// A network with batch normalization and a softmax head on the digits; one JSON line an epoch.
// c++ -O2 -std=c++17 -o train train.cpp && ./train learning_rate momentum batch_size units seed [epochs]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <vector>

using Row = std::vector<double>;
using Matrix = std::vector<Row>;

constexpr int FEATURES = 64, CLASSES = 10;
constexpr double KEEP = 0.9, EPSILON = 1e-3;

struct Weights {  // and the speed at which each moves
  Matrix value, speed;
  Weights(size_t rows, size_t columns, double start = 0) : value(rows, Row(columns, start)), speed(rows, Row(columns)) {}
  void move(const Matrix& gradient, double rate, double momentum) {
    for (size_t i = 0; i < value.size(); ++i)
      for (size_t j = 0; j < value[i].size(); ++j)
        value[i][j] += speed[i][j] = momentum * speed[i][j] - rate * gradient[i][j];
  }
};

struct Forward {
  Matrix normal, active, answers;
  Row mean, variance;
};

struct Net {
  size_t units;
  Weights hidden, scale, shift, softmax, bias;
  Row mean, variance;  // moving averages
  Net(size_t units, std::mt19937& random)
      : units(units), hidden(FEATURES, units), scale(1, units, 1), shift(1, units), softmax(units, CLASSES),
        bias(1, CLASSES), mean(units), variance(units, 1) {
    draw(hidden.value, std::sqrt(2.0 / FEATURES), random);
    draw(softmax.value, std::sqrt(1.0 / units), random);
  }
  static void draw(Matrix& weights, double spread, std::mt19937& random) {
    std::normal_distribution<double> normal(0, spread);
    for (auto& row : weights)
      for (auto& weight : row) weight = normal(random);
  }
  Forward forward(const Matrix& x, bool training) {
    Forward f{Matrix(x.size(), Row(units)), Matrix(x.size(), Row(units)), Matrix(x.size(), Row(CLASSES)), mean, variance};
    for (size_t r = 0; r < x.size(); ++r)
      for (size_t u = 0; u < units; ++u)
        for (int i = 0; i < FEATURES; ++i) f.normal[r][u] += x[r][i] * hidden.value[i][u];
    for (size_t u = 0; u < units; ++u) {
      if (training) {
        f.mean[u] = f.variance[u] = 0;
        for (auto& row : f.normal) f.mean[u] += row[u] / x.size();
        for (auto& row : f.normal) f.variance[u] += std::pow(row[u] - f.mean[u], 2) / x.size();
        mean[u] = KEEP * mean[u] + (1 - KEEP) * f.mean[u];
        variance[u] = KEEP * variance[u] + (1 - KEEP) * f.variance[u];
      }
      for (size_t r = 0; r < x.size(); ++r) {
        f.normal[r][u] = (f.normal[r][u] - f.mean[u]) / std::sqrt(f.variance[u] + EPSILON);
        f.active[r][u] = std::max(0.0, f.normal[r][u] * scale.value[0][u] + shift.value[0][u]);
      }
    }
    for (size_t r = 0; r < x.size(); ++r) {
      double total = 0;
      for (int c = 0; c < CLASSES; ++c) {
        f.answers[r][c] = bias.value[0][c];
        for (size_t u = 0; u < units; ++u) f.answers[r][c] += f.active[r][u] * softmax.value[u][c];
      }
      const double largest = *std::max_element(f.answers[r].begin(), f.answers[r].end());
      for (auto& answer : f.answers[r]) total += answer = std::exp(answer - largest);
      for (auto& answer : f.answers[r]) answer /= total;
    }
    return f;
  }
  void step(const Matrix& x, const std::vector<int>& y, double rate, double momentum) {
    const Forward f = forward(x, true);
    const size_t rows = x.size();
    Matrix by_softmax(units, Row(CLASSES)), by_bias(1, Row(CLASSES)), by_scale(1, Row(units)), by_shift(1, Row(units)),
        by_hidden(FEATURES, Row(units)), by_active(rows, Row(units));
    for (size_t r = 0; r < rows; ++r)
      for (int c = 0; c < CLASSES; ++c) {
        const double wrong = (f.answers[r][c] - (c == y[r])) / rows;
        by_bias[0][c] += wrong;
        for (size_t u = 0; u < units; ++u) {
          by_softmax[u][c] += f.active[r][u] * wrong;
          if (f.active[r][u] > 0) by_active[r][u] += softmax.value[u][c] * wrong;
        }
      }
    for (size_t u = 0; u < units; ++u) {
      for (size_t r = 0; r < rows; ++r) {
        by_shift[0][u] += by_active[r][u];
        by_scale[0][u] += by_active[r][u] * f.normal[r][u];
      }
      const double slope = scale.value[0][u] / std::sqrt(f.variance[u] + EPSILON);
      for (size_t r = 0; r < rows; ++r) {
        const double through_the_batch = (by_shift[0][u] + f.normal[r][u] * by_scale[0][u]) / rows;
        const double by_sum = slope * (by_active[r][u] - through_the_batch);
        for (int i = 0; i < FEATURES; ++i) by_hidden[i][u] += by_sum * x[r][i];
      }
    }
    softmax.move(by_softmax, rate, momentum);
    bias.move(by_bias, rate, momentum);
    scale.move(by_scale, rate, momentum);
    shift.move(by_shift, rate, momentum);
    hidden.move(by_hidden, rate, momentum);
  }
};

void read(const char* name, Matrix& x, std::vector<int>& y) {
  std::ifstream file(name);
  for (std::string line, cell; std::getline(file, line);) {
    std::stringstream cells(line);
    x.emplace_back();
    while (std::getline(cells, cell, ',')) x.back().push_back(std::stod(cell) / 16);
    y.push_back(std::lround(x.back().back() * 16));
    x.back().pop_back();
  }
  if (x.empty()) {
    std::fprintf(stderr, "expected rows in %s; see README.md\n", name);
    std::exit(2);
  }
}

int main(int count, char** given) {
  if (count < 6) return std::fprintf(stderr, "expected learning_rate momentum batch_size units seed\n"), 2;
  const double rate = std::stod(given[1]), momentum = std::stod(given[2]);
  const size_t batch = std::stoul(given[3]), units = std::stoul(given[4]);
  std::mt19937 random(std::stoul(given[5]));
  Matrix x, x_val;
  std::vector<int> y, y_val;
  read("../digits-train.csv", x, y);
  read("../digits-validation.csv", x_val, y_val);
  Net net(units, random);
  std::vector<size_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  for (int epoch = 1; epoch <= (count > 6 ? std::stoi(given[6]) : 9); ++epoch) {
    std::shuffle(order.begin(), order.end(), random);
    for (size_t start = 0; start < order.size(); start += batch) {
      Matrix some;
      std::vector<int> labels;
      for (size_t i = start; i < std::min(start + batch, order.size()); ++i) {
        some.push_back(x[order[i]]);
        labels.push_back(y[order[i]]);
      }
      net.step(some, labels, rate, momentum);
    }
    const Forward f = net.forward(x_val, false);
    double loss = 0, right = 0;
    for (size_t r = 0; r < x_val.size(); ++r) {
      loss -= std::log(std::max(f.answers[r][y_val[r]], 1e-12)) / x_val.size();
      right += std::max_element(f.answers[r].begin(), f.answers[r].end()) - f.answers[r].begin() == y_val[r];
    }
    std::printf("{\"epoch\": %d, \"val_loss\": %.6f, \"val_accuracy\": %.6f}\n", epoch, loss, right / x_val.size());
    std::fflush(stdout);
  }
}
